"""`learning-rate`: the same network with and without BN, trained at the rate that you choose."""

from functools import cache

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz import measures
from bnviz.controls import Choice, Slider
from bnviz.data import digits
from bnviz.explorer import Binding, Simulation, State
from bnviz.figures.learning_rate import learning_rate
from bnviz.nets import ACTIVATIONS, MLP, initialise

__all__ = ["LEARNING_RATE"]

SIZES = (64, 40, 40, 40, 10)  # as in the stored sweep `learning-rate`
RATES = tuple(k / 3 for k in range(-9, 7))  # log10 of the rates of that sweep
ASIDE = 100.0  # decades to the right: out of sight
NETS = ("plain", "bn")


@cache
def _net(name: str) -> MLP:
    return MLP(SIZES, norm=name == "bn")


def _values(state: State, name: str, controls: dict[str, Tensor]) -> State:
    """The state of one network under its own names, with the controls where it reads them."""
    values = {k.removeprefix(f"{name}."): v for k, v in state.items() if k.startswith(f"{name}.")}
    for i in range(len(SIZES) - 2):
        values[f"layers.{i}.activation.index"] = controls["activation"]
        if name == "bn":
            values[f"layers.{i}.norm.momentum"] = controls["momentum"]
    return values


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin with the same weights."""
    start = initialise(_net("bn"), seed, controls["scale"])
    return {
        f"{name}.{key}": start.get(key, value)
        for name in NETS
        for key, value in _net(name).state_dict().items()
    }


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for both networks."""
    data, new, outputs = digits(), {}, {}
    x, y = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        values = _values(state, name, controls)
        learned = [k for k, _ in _net(name).named_parameters()]
        with torch.enable_grad():
            values |= {k: values[k].detach().requires_grad_() for k in learned}
            loss = F.cross_entropy(functional_call(_net(name).train(), values, (x,)), y)
            gradients = torch.autograd.grad(loss, [values[k] for k in learned])
        values |= {
            k: values[k].detach() - controls["lr"] * g
            for k, g in zip(learned, gradients, strict=True)
        }
        new |= {k: values[k.removeprefix(f"{name}.")].detach() for k in state if k.startswith(name)}
        outputs[f"{name}_loss"] = loss.detach()
    return new, outputs


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Test accuracy in evaluation mode, and where it stands among the stored runs."""
    data = digits()
    at = torch.log10(controls["lr"]).reshape(1)
    outputs = {"here": at.expand(2)}
    for name in NETS:
        logits = functional_call(_net(name).eval(), _values(state, name, controls), (data.x_test,))
        found = measures.accuracy(logits, data.y_test)
        outputs |= {f"{name}_test": found, f"{name}_at_test": found.reshape(1)}
    outputs["rate"] = at
    for k, activation in enumerate(ACTIVATIONS):  # the others' stored curves stand off the axis
        aside = torch.where((controls["activation"] - k).abs() < 0.5, 0.0, ASIDE)
        outputs[f"{activation}_rates"] = torch.tensor(RATES) + aside
    return outputs


def _bindings() -> tuple[Binding, ...]:
    bindings = [Binding("here", "here", "x")]
    for name in NETS:
        bindings.append(Binding(f"{name}_loss", f"{name}-loss", "y", append=True))
        bindings.append(Binding(f"{name}_test", f"{name}-test", "y", append=True))
        bindings.append(Binding("rate", f"{name}-now", "x"))
        bindings.append(Binding(f"{name}_at_test", f"{name}-now", "y"))
        for activation in ACTIVATIONS:
            for edge in ("min", "max", "median"):
                uid = f"{activation}-{name}-{edge}"
                bindings.append(Binding(f"{activation}_rates", uid, "x"))
    return tuple(bindings)


LEARNING_RATE = Simulation(
    name="learning-rate",
    title="Choose a learning rate",
    caption=(
        "Two networks with three hidden layers of 40 units: same data, seed and starting weights. "
        "Above: loss on each batch and accuracy on the test images. Below: stored runs of the same "
        "networks, 300 steps at each of 16 rates; the line is the median of five seeds, the band "
        "holds all five. The dots are the two networks that you are training now. They are "
        "comparable with the curves once they have made 300 steps from scale 1 in batches of 32."
    ),
    controls=(
        Slider("lr", "learning rate", 0.001, 100, 2.1544347, 1 / 6, scale="log10", format=".3g"),
        Choice("activation", "activation", ACTIVATIONS, "tanh", restart=True),
        Slider("batch", "batch size", 2, 256, 32, 1, scale="log2", format="d"),
        Slider("scale", "initial weight scale", 0.1, 10, 1, 0.1, scale="log10", restart=True),
        Slider(
            "momentum",
            "BN momentum (new batch)",
            0,
            1,
            0.1,
            0.01,
            note="old keeps {other}",
        ),
    ),
    compute=None,
    figure=learning_rate(),
    bindings=_bindings(),
    readout=(
        "At learning rate {lr:.3g}, without BN: loss {plain_loss:.2f}, {plain_test:.0%} of the "
        "test digits right. With BN: loss {bn_loss:.2f}, {bn_test:.0%} right."
    ),
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
    history=300,
    preview=300,
)
