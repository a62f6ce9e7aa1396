"""Before the activation, after it, or not at all: three placements over seeds."""

from statistics import median

import torch
from torch import Tensor, nn

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.convnet import CNN
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.maths.train import DivergenceError, train

__all__ = ["PLACEMENT", "PLACEMENT_CNN"]

PLACEMENTS = ("none", "before", "after")
DEPTH, WIDTH, BATCH, STEPS, PROBE = 3, 64, 32, 400, 256
CNN_STEPS = 300
CLEAR = 4  # seeds of five
RATES = {
    "sigmoid": {"small": 0.5, "large": 2.0},
    "tanh": {"small": 0.1, "large": 1.0},
    "relu": {"small": 0.05, "large": 0.5},
}


def run(cell: Row) -> Row:
    """Train one network; describe the last hidden layer on fixed training images."""
    data, net = digits(), _build(cell)
    net.load_state_dict(initialise(net, cell["seed"], cell["scale"]))
    steps = cell.get("steps", CNN_STEPS if cell.get("net") == "cnn" else STEPS)
    losses = []
    try:
        train(
            net,
            data,
            steps=steps,
            batch_size=BATCH,
            lr=RATES[cell["activation"]][cell["rate"]],
            seed=cell["seed"],
            on_step=lambda step: losses.append(step.loss),
        )
    except DivergenceError:
        return dict.fromkeys(_KEYS, float("nan")) | {"diverged": True}
    tail = losses[-len(losses) // 10 :]
    accuracy = _accuracy(net, data.x_test, data.y_test)
    described = {k: v.item() for k, v in _describe(net, data.x_train[:PROBE]).items()}
    return {"accuracy": accuracy, "loss": sum(tail) / len(tail), **described, "diverged": False}


_KEYS = (
    "accuracy", "loss", "saturated", "dead", "in_level", "in_spread", "out_level", "out_spread",
)  # fmt: skip


def _build(cell: Row) -> MLP | CNN:
    norm = cell["placement"] != "none"
    options = {
        "norm": norm,
        "placement": cell["placement"] if norm else "before",
        "activation": cell["activation"],
    }
    if cell.get("net") == "cnn":
        return CNN((8, 8), **options)
    return MLP((64, *[WIDTH] * DEPTH, 10), **options)


@torch.no_grad()
def _accuracy(net: nn.Module, x: Tensor, y: Tensor) -> float:
    return measures.accuracy(net.eval()(x), y).item()


@torch.no_grad()
def _describe(net: MLP | CNN, x: Tensor) -> dict[str, Tensor]:
    """The last hidden layer in training mode: flat and dead shares, and what is pinned.

    "level" is the root mean square over units of their mean, "spread" that of their standard
    deviation; "in" is what enters the activation, "out" what leaves the layer.
    """
    with inputs_of(net.activations[-1:]) as entered, inputs_of([net.head]) as left:
        net.train()(x)
    v, out = entered[0], left[0]
    if v.ndim == 4:  # units are channels: their values are those of all positions
        out = out.unflatten(1, v.shape[1:]).transpose(0, 1).flatten(1).T
        v = v.transpose(0, 1).flatten(1).T  # (m h w, c)
    index = net.activations[-1].index
    found = {
        "saturated": measures.saturated(v.reshape(1, -1), index)[0],
        "dead": measures.dead(v[None], index)[0],
    }
    for name, values in (("in", v), ("out", out)):
        found[f"{name}_level"] = values.mean(0).square().mean().sqrt()
        found[f"{name}_spread"] = values.std(0, correction=0).square().mean().sqrt()
    return found


def summarise(rows: list[Row]) -> dict:
    """By setting and placement: each number over the seeds; then the pairs "before" - "after"."""
    summary = {}
    for setting in dict.fromkeys(_setting(row) for row in rows):
        of = [row for row in rows if _setting(row) == setting]
        for placement in PLACEMENTS:
            chosen = [row for row in of if row["placement"] == placement]
            summary[f"{setting}, {placement}"] = {
                "runs": len(chosen),
                "diverged": sum(row["diverged"] for row in chosen),
                **{key: between(row[key] for row in chosen) for key in _KEYS},
            }
    summary["pairs"] = {
        f"{a} beats {b}": _pairs(rows, a, b)
        for a, b in (("before", "none"), ("after", "none"), ("before", "after"))
    }
    return summary


def _setting(row: Row) -> str:
    return f"{row['activation']}, {row['rate']} rate, scale {row['scale']:g}"


def _pairs(rows: list[Row], a: str, b: str) -> dict:
    """In how many seeds `a` has the higher accuracy, the lower, and the median gap, by setting.

    A setting is won when `a` is better in at least `CLEAR` seeds, lost when it is worse in as many.
    """
    settings = {}
    for setting in dict.fromkeys(_setting(row) for row in rows):
        of = [row for row in rows if _setting(row) == setting]
        by = {(row["placement"], row["seed"]): row["accuracy"] or 0.0 for row in of}
        gaps = [by[a, row["seed"]] - by[b, row["seed"]] for row in of if row["placement"] == a]
        gap = round(median(gaps), 3)
        settings[setting] = [sum(g > 0 for g in gaps), sum(g < 0 for g in gaps), gap]
    return {
        "won": sum(better >= CLEAR for better, _, _ in settings.values()),
        "lost": sum(worse >= CLEAR for _, worse, _ in settings.values()),
        "of": len(settings),
        "settings": settings,
    }


_SHARED = {
    "data": "digits, 8 x 8",
    "rates": RATES,
    "batch": BATCH,
    "optimiser": "plain SGD",
    "probe": f"{PROBE} fixed training images, training mode, last hidden layer",
    "level": "root mean square over units of the mean of a unit; in: into the activation, out: "
    "out of the layer",
    "spread": "root mean square over units of the standard deviation of a unit",
    "saturated": "share of values where the activation is flat (ReLU: negative)",
    "dead": "share of units flat for all images of the probe",
    "loss": "mean over the last tenth of the steps",
}
_NOTES = (
    "A diverged run (null) counts as accuracy 0 in the pairs.",
    "pairs: seeds in which the first is better, seeds in which it is worse, median difference of "
    "test accuracy; won and lost count settings with at least four such seeds of five.",
)

_GRID = {
    "activation": tuple(RATES),
    "rate": ("small", "large"),
    "scale": (1.0, 4.0),
    "placement": PLACEMENTS,
    "seed": tuple(range(5)),
}

PLACEMENT = Experiment(
    name="placement",
    title="Batch normalisation before the activation, after it, or not at all",
    claims=("C15",),
    question="Which placement learns better, and which distribution does it hold?",
    settings={"network": f"{DEPTH} hidden layers of {WIDTH}", "steps": STEPS, **_SHARED},
    grid=_GRID,
    run=run,
    summarise=summarise,
    notes=_NOTES,
)

PLACEMENT_CNN = Experiment(
    name="placement-cnn",
    title="The same in a convolutional network",
    claims=("C15", "C17"),
    question="Which placement learns better in a network of two convolutions?",
    settings={"network": "2 convolutions of 8 filters, 3 x 3", "steps": CNN_STEPS, **_SHARED},
    grid={"net": ("cnn",), **_GRID, "scale": (1.0,)},
    run=run,
    summarise=summarise,
    notes=_NOTES,
)
