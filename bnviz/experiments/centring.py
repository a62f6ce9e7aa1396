"""Which part of Batch Normalization makes the largest curvature of the loss smaller?

Inputs that are not centred make it large: along the weights' common direction every example pulls
the same way. BN subtracts a mean in every layer.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths.apart import TakenApart
from bnviz.maths.data import digits
from bnviz.maths.functional import descend
from bnviz.maths.nets import initialise
from bnviz.maths.sharpness import curvatures

__all__ = ["CENTRING"]

SIZES, ROWS, RATE = (64, 64, 64, 64, 10), 256, 0.02
NETS = ("none", "mean", "variance", "bn")
SCALES = {"sigmoid": 4.0, "tanh": 1.0, "relu": 1.5}  # with which the plain network learns
AT, ITERATIONS = (0, 50, 200), 40


def run(cell: Row) -> Row:
    """The largest curvature and the loss after some steps with all rows, in training mode."""
    net = TakenApart(SIZES, part=cell["net"], activation=cell["activation"]).train()
    values = initialise(net, cell["seed"], SCALES[cell["activation"]])
    learned = [name for name, _ in net.named_parameters()]
    data = digits()
    x, y = data.x_train[:ROWS], data.y_train[:ROWS]

    def loss(point: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(net, {**values, **point}, (x,)), y)

    row: Row = {}
    for number in range(max(cell.get("at", AT)) + 1):
        if number in cell.get("at", AT):
            found = curvatures(loss, {k: values[k] for k in learned}, None, ITERATIONS)
            row[f"top_{number}"] = found["top"].abs().item()
            row[f"loss_{number}"] = loss({}).item()
        values, _ = descend(net, values, values, (x, y), torch.tensor(RATE))
    return row


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Median and extremes for each activation and network; how many times smaller than without."""
    found: dict[str, Any] = {}
    for activation in SCALES:
        own = {n: [r for r in rows if (r["activation"], r["net"]) == (activation, n)] for n in NETS}
        found[activation] = {
            net: {f"top_{at}": between(r[f"top_{at}"] for r in runs) for at in AT}
            | {f"loss_{at}": between(r[f"loss_{at}"] for r in runs) for at in AT}
            for net, runs in own.items()
        }
        for net in NETS[1:]:
            pairs = zip(own["none"], own[net], strict=True)
            found[activation][net]["times_smaller"] = between(
                a["top_0"] / b["top_0"] for a, b in pairs
            )
    return found


CENTRING = Experiment(
    name="centring",
    title="Which part of BN makes the largest curvature smaller?",
    claims=("C59",),
    question="Is it the mean that makes the loss of a network without BN steep in one direction?",
    settings={
        "data": f"the first {ROWS} training digits, all at every step",
        "network": "3 hidden layers of 64; initial scale "
        + ", ".join(f"{s:g} for {a}" for a, s in SCALES.items()),
        "lr": RATE,
        "top": f"absolute value of the Hessian's largest eigenvalue, {ITERATIONS} power iterations "
        "from the gradient, after 0, 50 and 200 steps of gradient descent",
        "no": "the mean is what counts only if at the start 'mean' is below 'none' by a factor of "
        "1.5 or more (whole interval) for every activation, and 'variance' is not",
    },
    grid={"activation": tuple(SCALES), "net": NETS, "seed": tuple(range(10))},
    run=run,
    summarise=summarise,
)
