"""`drift`: two networks in training, with and without BN, and what reaches every layer."""

from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz import measures
from bnviz.controls import Choice, Slider, Toggle
from bnviz.data import digits
from bnviz.explorer import Binding, Simulation, State
from bnviz.figures.drift import drift
from bnviz.nets import ACTIVATIONS, MLP, initialise
from bnviz.record import inputs_of

__all__ = ["DRIFT"]

DEPTH, WIDTH, CLASSES = 5, 64, 10
LOW, HIGH, BINS = -8.0, 8.0, 48  # range of the pre-activations shown
NETS = ("plain", "bn")
SHARES = (0.15, 0.5, 0.85)  # the percentiles of one unit's track
_PROBE = 360  # training rows on which the training accuracy is measured


@cache
def _net(name: str) -> MLP:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    sizes = (64, *[WIDTH] * DEPTH, CLASSES)
    return MLP(sizes, norm=name == "bn")


def _part(state: State, name: str) -> State:
    """The state of one network, under its own names."""
    return {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}


def _set_controls(values: State, controls: dict[str, Tensor]) -> State:
    """Put the controls where the network reads them: activation, momentum, held gamma and beta."""
    held = controls["hold"] > 0.5
    values = dict(values)
    for i in range(DEPTH):
        layer = f"layers.{i}"
        values[f"{layer}.activation.index"] = controls["activation"]
        if f"{layer}.norm.weight" in values:
            values[f"{layer}.norm.momentum"] = controls["momentum"]
            for parameter, control in (("weight", "gamma"), ("bias", "beta")):
                learned = values[f"{layer}.norm.{parameter}"]
                values[f"{layer}.norm.{parameter}"] = torch.where(held, controls[control], learned)
    return values


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin with the same weights; BN with gamma 1, beta 0, running stats 0 and 1."""
    start = initialise(_net("bn"), seed, controls["scale"])
    state = {}
    for name in NETS:
        for key, value in _net(name).state_dict().items():
            state[f"{name}.{key}"] = start.get(key, value)
    return state


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for both networks."""
    data = digits()
    x, y = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    new, outputs = {}, {}
    for name in NETS:
        moved, loss, v = _train_step(_net(name), _part(state, name), x, y, controls)
        new |= {f"{name}.{k}": value for k, value in moved.items()}
        outputs |= {f"{name}_loss": loss} | _describe(name, v, controls)
    return new, outputs


def _train_step(net: MLP, state: State, x: Tensor, y: Tensor, controls: dict[str, Tensor]):
    """New state, loss, and the pre-activations of every layer, (DEPTH, m, WIDTH)."""
    learned = [name for name, _ in net.named_parameters()]
    values = _set_controls(state, controls)
    with torch.enable_grad():
        values |= {k: values[k].detach().requires_grad_() for k in learned}
        with inputs_of(net.activations) as pre_activations:
            loss = F.cross_entropy(functional_call(net.train(), values, (x,)), y)
        gradients = torch.autograd.grad(loss, [values[k] for k in learned])
    moved = {k: values[k].detach() for k in state}  # the running statistics have moved by now
    for name, gradient in zip(learned, gradients, strict=True):
        moved[name] = moved[name] - controls["lr"] * gradient
    v = torch.stack([a.detach() for a in pre_activations])
    return moved, loss.detach(), v


def _describe(name: str, v: Tensor, controls: dict[str, Tensor]) -> dict[str, Tensor]:
    """What is drawn of the pre-activations v, (DEPTH, m, WIDTH), of one network."""
    track = measures.percentiles(v, SHARES)  # (SHARES, DEPTH, WIDTH)
    v = v.flatten(1)  # (DEPTH, m * WIDTH)
    p = measures.density(v, LOW, HIGH, BINS)  # (DEPTH, BINS)
    mean, std = v.mean(1), ((v - v.mean(1, keepdim=True)) ** 2).mean(1).sqrt()
    flat = measures.saturated(v, controls["activation"])  # (DEPTH,)
    at = (controls["layer"] - 1).long().reshape(1)
    chosen = torch.stack([mean, std, flat]).index_select(1, at)  # (3, 1)
    return {
        f"{name}_density": p,
        f"{name}_heat": torch.log10(p + 1e-3),
        f"{name}_track": track,
        f"{name}_mean": chosen[0, 0],
        f"{name}_std": chosen[1, 0],
        f"{name}_saturated": chosen[2, 0],
        f"{name}_all_saturated": 100 * flat.flip(0)[:, None],  # per cent, layer 1 on top
    }


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy in evaluation mode: BN normalises with its running statistics."""
    data = digits()
    x = torch.cat([data.x_train[:_PROBE], data.x_test])
    outputs = {}
    for name in NETS:
        values = _set_controls(_part(state, name), controls)
        logits = functional_call(_net(name).eval(), values, (x,))
        train, test = logits.split([_PROBE, len(data.x_test)])
        outputs[f"{name}_train"] = measures.accuracy(train, data.y_train[:_PROBE])
        outputs[f"{name}_test"] = measures.accuracy(test, data.y_test)
    return outputs


def _bindings() -> tuple[Binding, ...]:
    bindings = []
    for name in NETS:
        for i in range(DEPTH):
            heat, now = f"{name}-{i + 1}-over-time", f"{name}-{i + 1}-now"
            bindings.append(Binding(f"{name}_heat", heat, "z", (i,), append=True))
            bindings.append(Binding(f"{name}_density", now, "x", (i,)))
        bindings.append(Binding(f"{name}_all_saturated", f"{name}-saturated", "z"))
        for k, share in enumerate(SHARES):
            track, by = f"{name}-p{100 * share:.0f}", ("layer", "unit")
            bindings.append(Binding(f"{name}_track", track, "y", (k,), append=True, by=by))
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        bindings.append(Binding(f"{name}_train", f"{name}-train", "y", append=True))
        bindings.append(Binding(f"{name}_test", f"{name}-test", "y", append=True))
    return tuple(bindings)


DRIFT = Simulation(
    name="drift",
    title="Two networks learn to read digits",
    caption=(
        "The same data, seed and starting weights; the network on the right has batch "
        "normalisation. Each row is a hidden layer: colour shows where its pre-activations lay at "
        "each training step, the curve beside it where they lie now, the number the share that is "
        "saturated, in per cent. Below the layers, one unit that you choose: its median, and the "
        "band from its 15th to its 85th percentile in the batch. Watch how far the bands wander, "
        "and which network learns. Accuracy: solid on the test set, dotted in training."
    ),
    controls=(
        Choice("activation", "activation", ACTIVATIONS, "sigmoid", restart=True),
        Slider("lr", "learning rate", 0.001, 10, 1.5848932, 0.1, scale="log10", format=".3g"),
        Slider("batch", "batch size", 2, 256, 32, 1, scale="log2", format="d"),
        Slider(
            "momentum",
            "BN momentum (weight of the new batch)",
            0,
            1,
            0.1,
            0.01,
            note="old statistics keep {other}",
        ),
        Slider("scale", "initial weight scale", 0.1, 10, 2, 0.1, restart=True),
        Toggle("hold", "hold γ and β in every BN layer", False),
        Slider("gamma", "γ", -3, 3, 1, 0.05, switches_on="hold"),
        Slider("beta", "β", -5, 5, 0, 0.1, switches_on="hold"),
        Slider("layer", "look at layer", 1, DEPTH, 5, 1, format="d"),
        Slider("unit", "unit of that layer", 1, WIDTH, 1, 1, format="d"),
    ),
    compute=None,
    figure=drift(DEPTH, LOW, HIGH, BINS),
    bindings=_bindings(),
    readout=(
        "Layer {layer:d} without BN: mean {plain_mean:.1f}, std {plain_std:.1f}, "
        "{plain_saturated:.0%} saturated, loss {plain_loss:.2f}. "
        "With BN: mean {bn_mean:.1f}, std {bn_std:.1f}, "
        "{bn_saturated:.0%} saturated, loss {bn_loss:.2f}."
    ),
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
    preview=240,
)
