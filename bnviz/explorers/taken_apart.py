"""`taken-apart`: seven networks in training, each with another part of Batch Normalization."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers import _controls
from bnviz.figure.explorer import Binding, Counted, Simulation
from bnviz.maths import measures
from bnviz.maths.apart import TakenApart, lengths_of
from bnviz.maths.data import digits
from bnviz.maths.functional import State, alike, descend, evaluate, gather, hold, part
from bnviz.maths.record import inputs_of
from bnviz.templates.taken_apart import ROWS, taken_apart

__all__ = ["TAKEN_APART"]

DEPTH, WIDTH = 8, 32
LOW, HIGH, BINS = -8.0, 8.0, 48  # range of the pre-activations shown
NETS = tuple(ROWS)


@cache
def _net(name: str) -> TakenApart:
    return TakenApart((64, *[WIDTH] * DEPTH, 10), part=name)


def initial(seed: Tensor, **controls: Tensor) -> State:
    """All networks begin with the same weights."""
    return lengths_of(alike({name: _net(name) for name in NETS}, seed, controls["scale"]))


def step(state: State, rows: Tensor, **controls: Tensor) -> tuple[State, dict[str, Tensor]]:
    """One step of gradient descent on the same minibatch, for all networks."""
    data, new, outputs = digits(), {}, {}
    batch = data.x_train[rows], data.y_train[rows]  # (m, 64), (m,)
    for name in NETS:
        net, own = _net(name), part(state, name)
        values = hold(net, own, controls)
        new[name], outputs[f"{name}_loss"] = descend(net, own, values, batch, controls["lr"])
    return gather(new), outputs


def observe(state: State, **controls: Tensor) -> dict[str, Tensor]:
    """For the test images, in evaluation mode: accuracy, and what enters the last activation."""
    data, outputs = digits(), {}
    for name in NETS:
        net = _net(name)
        with inputs_of(net.activations[-1:]) as entered, torch.no_grad():
            logits = evaluate(net, part(state, name), controls, data.x_test)
        v = entered[0].detach().reshape(1, -1)
        outputs[f"{name}_density"] = measures.density(v, LOW, HIGH, BINS)[0]
        outputs[f"{name}_test"] = measures.accuracy(logits, data.y_test)
    return outputs


_COUNTS: dict[str, Counted] = {"density": "histogram", "test": "share"}

TAKEN_APART = Simulation(
    name="taken-apart",
    title="Which part does the work?",
    caption=(
        "One network with eight hidden layers, seven times: same data, same seed, same starting "
        "weights. Purple rows have one part of BN each: the mean is subtracted, or the spread is "
        "divided by, or both, but as if they were constants when gradients go back. Orange rows "
        "have no BN; weight normalisation parts length and direction of each unit's weights. In "
        "the last row only γ, β and the last layer learn: all other weights stay as they were "
        "drawn. The loss is that of training, the accuracy that of evaluation, with running "
        "statistics. Say which rows will learn before you press Play."
    ),
    controls=(
        _controls.activation("sigmoid"),
        _controls.rate(1.0),
        _controls.batch(32, low=4),
        _controls.scale(4),
        _controls.momentum(),
    ),
    compute=None,
    figure=taken_apart(LOW, HIGH, BINS),
    bindings=tuple(
        Binding(f"{name}_{what}", f"{name}-{what}", "y", append=what != "density")
        for name in NETS
        for what in ("loss", "test", "density")
    ),
    readout=(
        "Test digits read: without BN {none_test:.0%}, mean only {mean_test:.0%}, spread only "
        "{variance_test:.0%}, statistics as constants {detached_test:.0%}, all of BN "
        "{bn_test:.0%}, only γ and β {affine_test:.0%}, weight normalisation {weight_test:.0%}."
    ),
    counts={f"{name}_{what}": how for name in NETS for what, how in _COUNTS.items()},
    initial=initial,
    step=step,
    observe=observe,
    rows=len(digits().x_train),
    watch={f"{name}_loss": label.lower() for name, (label, _) in ROWS.items()},
    history=300,
)
