"""`ics`: both measures of internal covariate shift, live: plain, with BN, with noisy BN."""

from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call, grad, vmap
from torch.nn import functional as F

from bnviz import ics
from bnviz.controls import Choice, Slider
from bnviz.data import digits
from bnviz.explorer import Binding, Simulation, State
from bnviz.figures.ics import ics as figure
from bnviz.nets import ACTIVATIONS, MLP, initialise
from bnviz.noisy import N_MU, N_SIGMA, NoisyBatchNorm, R, add_noise
from bnviz.record import inputs_of

__all__ = ["ICS"]

DEPTH, WIDTH, CLASSES = 4, 32, 10
NETS = ("plain", "bn", "noisy")
PLACES = ("after BN", "before BN")
_PROBE = 64  # training rows on which the distributions are compared from step to step


@cache
def _net(name: str) -> MLP:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    net = MLP((64, *[WIDTH] * DEPTH, CLASSES), norm=name != "plain").train()
    return add_noise(net) if name == "noisy" else net


def _kept(name: str) -> list[str]:
    """What of a network goes into the state: all but running statistics, which training ignores."""
    return [k for k in _net(name).state_dict() if "running" not in k]


def _values(state: State, name: str, controls: dict[str, Tensor]) -> State:
    """Everything that one network's forward pass reads, under its own names."""
    net = _net(name)
    values = {k: v for k, v in net.state_dict().items() if "running" in k}
    values |= {k: state[f"{name}.{k}"] for k in _kept(name)}
    constants = {"n_mu": N_MU * controls["noise"], "r": R * controls["noise"]}
    constants["n_sigma"] = 1 + (N_SIGMA - 1) * controls["noise"]
    for i, layer in enumerate(net.layers):
        values[f"layers.{i}.activation.index"] = controls["activation"]
        if isinstance(layer.norm, NoisyBatchNorm):
            values |= {f"layers.{i}.norm.{k}": v for k, v in constants.items()}
    return values


def initial(seed: Tensor, **controls: Tensor) -> State:
    """The same starting weights for all three, and where their values lie before any step."""
    start = initialise(_net("bn"), seed, controls["scale"])
    state = {}
    for name in NETS:
        for key in _kept(name):
            own = seed.expand(()) if key.endswith("seed") else _net(name).state_dict()[key]
            state[f"{name}.{key}"] = start.get(key, own)
        mean, std = _moments(name, _values(state, name, controls))
        state |= {f"{name}.mean": mean, f"{name}.std": std}
    return state


def _moments(name: str, values: State) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of every unit after and before BN, (PLACES, DEPTH, WIDTH)."""
    net = _net(name)
    before = [layer.norm for layer in net.layers]  # without BN that is the identity
    with torch.no_grad(), inputs_of([*net.activations, *before]) as seen:
        functional_call(net, dict(values), (digits().x_train[:_PROBE],))
    v = torch.stack(list(seen)).unflatten(0, (len(PLACES), DEPTH))  # (PLACES, DEPTH, probe, WIDTH)
    mean = v.mean(2)
    return mean, ((v - mean[:, :, None]) ** 2).mean(2).sqrt()


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for all three, with both measures."""
    data = digits()
    x, y = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    new, outputs = {}, {}
    for name in NETS:
        moved, found = _train_step(name, _values(state, name, controls), x, y, controls["lr"])
        mean, std = _moments(name, moved)
        distance = torch.sqrt(
            (mean - state[f"{name}.mean"]) ** 2 + (std - state[f"{name}.std"]) ** 2
        )
        found["moved"] = distance.mean(2) / state[f"{name}.std"].mean(2)  # (PLACES, DEPTH)
        found |= _chosen(found, controls)
        new |= {f"{name}.{k}": moved[k] for k in _kept(name)}
        new |= {f"{name}.mean": mean, f"{name}.std": std}
        outputs |= {f"{name}_{k}": v for k, v in found.items()}
    return new, outputs


def _train_step(name: str, values: State, x: Tensor, y: Tensor, lr: Tensor):
    """New values, and the loss with the change of each layer's gradient."""
    net, groups = _net(name), ics.learned(_net(name))
    names = [key for group in groups for key in group]
    moved = dict(values)  # the count of noisy passes moves in it
    with torch.enable_grad():
        moved |= {k: values[k].detach().requires_grad_() for k in names}
        learned = [moved[k] for k in names]
        loss = F.cross_entropy(functional_call(net, moved, (x,)), y)
        gradients = dict(zip(names, torch.autograd.grad(loss, learned), strict=True))
    found = {"loss": loss.detach()} | _gradient_shift(net, values, gradients, x, y, lr)
    moved |= {k: values[k] - lr * gradients[k] for k in names}
    return moved, found


def _gradient_shift(net: MLP, values: State, gradients: State, x, y, lr) -> dict[str, Tensor]:
    """`ics.gradient_shift` of the hidden layers, all at once: copy k has layers 1 to k - 1 moved.

    Returns "changed" ||G - G'|| / ||G|| and "cosine", each (DEPTH,).
    """
    groups = ics.learned(net)[:-1]
    copies, weights = torch.arange(DEPTH), [group[0] for group in groups]
    stacked = {k: v.expand(DEPTH, *v.shape) for k, v in values.items()}
    for i, group in enumerate(groups):
        below = (copies > i).float()
        for key in group:
            way = below.reshape(-1, *[1] * gradients[key].ndim)
            stacked[key] = values[key] - lr * way * gradients[key]

    def loss(own: State, rest: State) -> Tensor:
        return F.cross_entropy(functional_call(net, {**rest, **own}, (x,)), y)

    own = {k: stacked.pop(k) for k in weights}
    after = vmap(grad(loss))(own, stacked)
    pairs = [ics._compare(gradients[k], after[k][i]) for i, k in enumerate(weights)]
    shift, norm, cosine = (torch.stack(column) for column in zip(*pairs, strict=True))
    return {"changed": shift / norm, "cosine": cosine}


def _chosen(found: dict[str, Tensor], controls: dict[str, Tensor]) -> dict[str, Tensor]:
    """What the readout says, of the chosen layer and place."""
    layer, place = (controls[k].long().reshape(1) for k in ("layer", "place"))
    at = {k: found[k].index_select(0, layer - 1)[0] for k in ("changed", "cosine")}
    at["moved"] = found["moved"].index_select(0, place)[0].index_select(0, layer - 1)[0]
    return {f"{k}_here": v for k, v in at.items()}


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in NETS:
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        for output, by in (
            ("moved", ("place", "layer")), ("changed", ("layer",)), ("cosine", ("layer",)),
        ):  # fmt: skip
            bindings.append(
                Binding(f"{name}_{output}", f"{name}-{output}", "y", append=True, by=by)
            )
    return tuple(bindings)


ICS = Simulation(
    name="ics",
    title="Two measures of internal covariate shift",
    caption=(
        "Three networks with the same data, seed and starting weights. Below the loss: how far the "
        "distribution of a unit's values moved in this step, in its standard deviations; how much "
        "the gradient of the layer's weights changes when the layers below take their step, in "
        "parts of its own length; and whether it still points the same way (cosine 1)."
    ),
    controls=(
        Choice("activation", "activation", ACTIVATIONS, "sigmoid", restart=True),
        Slider("lr", "learning rate", 0.01, 10, 0.5, 0.1, scale="log10", format=".2g"),
        Slider("batch", "batch size", 4, 256, 64, 1, scale="log2", format="d"),
        Slider("scale", "initial weight scale", 0.5, 5, 2, 0.1, format=".1f", restart=True),
        Slider("noise", "noise (1 = as published)", 0, 3, 1, 0.1, format=".1f"),
        Slider("layer", "look at layer", 1, DEPTH, DEPTH, 1, format="d"),
        Choice("place", "distribution of the values", PLACES, PLACES[0]),
    ),
    compute=None,
    figure=figure(),
    bindings=_bindings(),
    readout=(
        "Layer {layer:d}, in this step. Its values moved by {plain_moved_here:.2f} standard "
        "deviations without BN, {bn_moved_here:.2f} with BN, {noisy_moved_here:.2f} with noisy BN. "
        "Its gradient changed by {plain_changed_here:.0%}, {bn_changed_here:.0%} and "
        "{noisy_changed_here:.0%} of its length. Loss {plain_loss:.2f}, {bn_loss:.2f} and "
        "{noisy_loss:.2f}."
    ),
    initial=initial,
    step=step,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN", "noisy_loss": "with noisy BN"},
    preview=240,
)
