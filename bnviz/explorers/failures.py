"""`failures`: three networks in training, each pushed towards a failure of its own kind."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Counted, Simulation
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.functional import State, descend, evaluate, gather, hold, part
from bnviz.maths.nets import MLP, activate, initialise
from bnviz.maths.record import inputs_of
from bnviz.templates.failures import failures

__all__ = ["FAILURES"]

DEPTH, WIDTH = 5, 64
LOW, HIGH, BINS = -24.0, 24.0, 96  # range of the pre-activations shown
NETS = ("faded", "thrown", "bn")
# For sigmoid, tanh and ReLU: rate and initial scale without a push, then with all of it. These
# are cells of the stored experiments `failures-*` in which at least 17 of 20 seeds fail in this
# way; but where tanh and ReLU fade, which that grid hardly reaches.
FROM = {
    "faded": ((1.0, 4.0), (0.1, 1.0), (0.1, 1.4)),
    "thrown": ((1.0, 4.0), (0.1, 1.0), (0.1, 0.7)),
    "bn": ((3.0, 4.0), (1.0, 1.0), (1.0, 1.4)),
}
TO = {
    "faded": ((1.0, 1.0), (0.1, 0.1), (0.03, 0.35)),
    "thrown": ((10.0, 4.0), (10.0, 1.0), (1.0, 0.7)),
    "bn": ((30.0, 4.0), (10.0, 1.0), (10.0, 1.4)),
}
TALL = 0.9  # the spread that 90 % of the units stay below


@cache
def _net(name: str) -> MLP:
    """The module whose forward pass both hosts run; its own parameters are never used."""
    return MLP((64, *[WIDTH] * DEPTH, 10), norm=name == "bn")


def pushed(name: str, controls: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
    """Learning rate and initial scale of a network: from `FROM` to `TO`, evenly in logarithms."""
    index = controls["activation"].long().reshape(1)
    healthy, failing = (torch.tensor(table[name]).index_select(0, index)[0] for table in (FROM, TO))
    rate, scale = (healthy * (failing / healthy) ** controls["push"]).unbind()
    return rate, scale


def initial(seed: Tensor, **controls: Tensor) -> State:
    """The same draws for all three, times a scale of their own."""
    states: dict[str, State] = {}
    for name in NETS:
        states[name] = initialise(_net(name), seed, pushed(name, controls)[1])
    return gather(states)


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch for all, each at its own rate."""
    data, new, outputs = digits(), {}, {}
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        net, own = _net(name), part(state, name)
        with inputs_of(net.activations[-1:]) as entered:
            values = hold(net, own, controls)
            rate, _ = pushed(name, controls)
            new[name], outputs[f"{name}_loss"] = descend(net, own, values, batch, rate)
        outputs |= _describe(name, entered[0].detach(), controls["activation"])
    return gather(new), outputs


def _describe(name: str, v: Tensor, activation: Tensor) -> dict[str, Tensor]:
    """What is drawn of the pre-activations v of the last hidden layer, (m, WIDTH)."""
    p = measures.density(v.reshape(1, -1), LOW, HIGH, BINS)[0]  # (BINS,)
    outputs = activate(v, activation)
    centred = outputs - outputs.mean(0)
    spread = centred.square().mean(0).sqrt()  # (WIDTH,)
    tall = measures.percentiles(spread[None, :, None], (TALL,)).reshape(())
    return {
        f"{name}_heat": torch.log10(p + 1e-3),
        f"{name}_spread": tall.clamp_min(1e-7),  # the axis is a logarithm
        f"{name}_flat": 100 * measures.dead(v[None], activation)[0],
    }


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """Accuracy on the test digits, in evaluation mode."""
    data = digits()
    return {
        f"{name}_test": measures.accuracy(
            evaluate(_net(name), part(state, name), controls, data.x_test), data.y_test
        )
        for name in NETS
    }


_COUNTS: dict[str, Counted] = {"heat": "log histogram", "flat": "share", "test": "share"}

FAILURES = Simulation(
    name="failures",
    title="Three ways to fail",
    caption=(
        "Above: where the pre-activations of the last hidden layer lie, for each of three networks "
        "that get the same digits. Below: how far an output spreads over the images (nine of ten "
        "units have less); how many units are where the activation is flat, for every image; and "
        "the accuracy. Solid orange fades, dotted orange is thrown, blue has BN. *Push* takes rate "
        "and initial weights of each from a healthy setting (0) to one that fails in its own way "
        "(1)."
    ),
    controls=(
        Slider("push", "push", 0, 1, 1, 0.05, restart=True),
        _controls.activation("sigmoid"),
        _controls.batch(32, low=8),
    ),
    compute=None,
    figure=failures(LOW, HIGH, BINS),
    bindings=tuple(
        Binding(f"{name}_{what}", f"{name}-{what}", "z" if what == "heat" else "y", append=True)
        for name in NETS
        for what in ("heat", "spread", "flat", "test")
    ),
    readout=(
        "Faded: outputs spread {faded_spread:.0e}, {faded_flat:.0f} % of the units flat, "
        "accuracy {faded_test:.0%}. Thrown, dead: {thrown_spread:.0e}, {thrown_flat:.0f} %, "
        "{thrown_test:.0%}. With BN, thrown: {bn_spread:.0e}, {bn_flat:.0f} %, {bn_test:.0%}."
    ),
    counts={f"{name}_{what}": how for name in NETS for what, how in _COUNTS.items()},
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={
        "faded_loss": "the one that fades",
        "thrown_loss": "the one that is thrown",
        "bn_loss": "with BN",
    },
)
