"""`learning-rate`: the same network with and without BN, trained at the rate that you choose."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Simulation
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, evaluate, gather, hold, part
from bnviz.maths.nets import ACTIVATIONS, MLP
from bnviz.templates.learning_rate import learning_rate

__all__ = ["LEARNING_RATE"]

SIZES = (64, 40, 40, 40, 10)  # as in the stored sweep `learning-rate`
RATES = tuple(k / 3 for k in range(-9, 7))  # log10 of the rates of that sweep
ASIDE = 100.0  # decades to the right: out of sight
NETS = ("plain", "bn")


@cache
def _net(name: str) -> MLP:
    return MLP(SIZES, norm=name == "bn")


def initial(seed: Tensor, **controls: Tensor) -> State:
    """Both networks begin with the same weights."""
    return alike({name: _net(name) for name in NETS}, seed, controls["scale"])


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for both networks."""
    data, new, outputs = digits(), {}, {}
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        net, own = _net(name), part(state, name)
        values = hold(net, own, controls)
        new[name], outputs[f"{name}_loss"] = descend(net, own, values, batch, controls["lr"])
    return gather(new), outputs


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Test accuracy in evaluation mode, and where it stands among the stored runs."""
    data = digits()
    at = torch.log10(controls["lr"]).reshape(1)
    outputs = {"here": at.expand(2)}
    for name in NETS:
        logits = evaluate(_net(name), part(state, name), controls, data.x_test)
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
        _controls.rate(2.1544347, high=100, step=1 / 6),
        _controls.activation("tanh"),
        _controls.batch(32),
        _controls.scale(1, scale="log10"),
        _controls.momentum(),
    ),
    compute=None,
    figure=learning_rate(),
    bindings=_bindings(),
    readout=(
        "At learning rate {lr:.3g}, without BN: loss {plain_loss:.2f}, {plain_test:.0%} of the "
        "test digits right. With BN: loss {bn_loss:.2f}, {bn_test:.0%} right."
    ),
    counts={f"{name}_{what}": "share" for name in NETS for what in ("test", "at_test")},
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={"plain_loss": "without BN", "bn_loss": "with BN"},
    history=300,
)
