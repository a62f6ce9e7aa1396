"""Does training settle at the edge of stability, with BN and without?

At the edge the learning rate times the largest curvature of the loss is 2. The curvature is that
of the point itself (power iteration), not of a step of finite length.
"""

from statistics import median

import torch
from torch import Tensor
from torch.func import grad_and_value

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.experiments.landscapes import Task, cnn_task, linear_task, mlp_task
from bnviz.maths.landscape import call
from bnviz.maths.prng import Shuffler
from bnviz.maths.sharpness import curvatures

__all__ = ["EDGES", "EDGES_CNN", "EDGES_HELD", "NEAR", "RATES", "SETTINGS", "at_edge"]

Values = dict[str, Tensor]
EVERY, ITERATIONS = 25, 6
# name: learning rates, steps, rows of the training set, rows of a minibatch
SETTINGS = {
    "sigmoid": ((0.15, 0.5, 5.0), 400, 256, 64),
    "tanh": ((0.05, 0.15, 1.5), 400, 256, 64),
    "relu": ((0.03, 0.1, 1.0), 400, 256, 64),
    "cnn": ((0.02, 0.1, 1.0), 200, 128, 32),
    "25 matrices": ((0.001, 0.003, 0.01), 400, 500, 500),
}
RATES = ("low", "middle", "high")
BUDGETS = (0.25, 0.5, 1.0)  # of the steps: half, once and twice what the chapter speaks of
NEAR = (1.6, 2.4)  # rate times sharpness at the edge
SEEDS = tuple(range(10))


def run(cell: Row) -> Row:
    """Train one network; rate times curvature on the way, and how long its weights have grown."""
    rates, steps, rows, batch = SETTINGS[cell["setting"]]
    lr, steps = rates[RATES.index(cell["rate"])], cell.get("steps", steps)
    batch = None if cell["batch"] == "all" else batch
    looks = _train(_task(cell, rows), lr, steps, batch, cell["seed"], cell["net"] == "bn-held")
    points = steps // EVERY
    survived = len(looks) == points + 1
    return {
        "top": [_late(looks, "top", points, share) for share in BUDGETS],
        "along": _late(looks, "along", points, 0.5),
        "start": looks[0]["top"],
        "peak": max(look["top"] for look in looks[points // 8 :]) if survived else float("nan"),
        "loss": looks[-1]["loss"] if survived else float("nan"),
        "length": looks[-1]["length"] if survived else float("nan"),
    }


def _late(looks: list[Row], name: str, points: int, share: float) -> float:
    """The median over the last third of a part of the run; NaN where the run was over before."""
    until = round(share * points) + 1
    part = [look[name] for look in looks[until - max(1, round(share * points / 3)) : until]]
    return median(part) if len(looks) >= until else float("nan")


def _task(cell: Row, rows: int) -> Task:
    own = {**cell, "net": cell["net"].removesuffix("-held")}
    makers = {"cnn": cnn_task, "25 matrices": linear_task}
    net, values, x, y, loss = makers.get(cell["setting"], mlp_task)(own)
    return net, values, x[:rows], y[:rows], loss


def _train(task: Task, lr: float, steps: int, batch: int | None, seed: int, held: bool):
    """Gradient descent; a look before the first step and after every `EVERY`."""
    net, values, x, y, loss = task
    shuffler, start = Shuffler(len(x), seed), lengths(values)
    looks: list[Row] = []
    direction = None

    def whole(v: Values) -> Tensor:
        return loss(call(net, v, x), y)

    for number in range(steps + 1):
        if number % EVERY == 0:
            # the first look has no direction to begin with
            found = curvatures(whole, values, direction, ITERATIONS * (1 if number else 5))
            direction, here = found["direction"], whole(values)
            if not torch.isfinite(here + found["top"] + found["along"]):
                break
            looks.append({"loss": here.item(), "length": _grown(values, start),
                          **{k: lr * found[k].item() for k in ("top", "along")}})  # fmt: skip
        rows = shuffler.take(batch) if batch else slice(None)
        slopes, _ = grad_and_value(lambda v, r=rows: loss(call(net, v, x[r]), y[r]))(values)
        values = {k: w - lr * slopes[k] for k, w in values.items()}
        if held:  # BN does not notice: the network computes the same
            now = lengths(values)
            values |= {k: values[k] * (start[k] / now[k]) for k in start}
    return looks


def lengths(values: Values) -> Values:
    """The norm of each weight matrix with BN behind it: all but the last layer's.

    It has the axes of the weights, and is 1 for the last of `matrices`, so that it divides them.
    """
    if "matrices" in values:
        norms = values["matrices"].norm(dim=(1, 2), keepdim=True)
        return {"matrices": torch.cat([norms[:-1], torch.ones(1, 1, 1)])}
    names = [k for k, w in values.items() if w.ndim > 1]
    return {k: values[k].norm() for k in names[:-1]}


def _grown(values: Values, start: Values) -> float:
    now = lengths(values)
    return torch.cat([(now[k] / start[k]).flatten() for k in start]).mean().item()


def at_edge(row: Row) -> bool:
    """Whether rate times sharpness is near 2 after half, once and twice the steps."""
    return all(top is not None and NEAR[0] <= top <= NEAR[1] for top in row["top"])


def summarise(rows: list[Row]) -> dict:
    """By setting, batch, net and rate: medians and extremes, and how many seeds are at the edge."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        where = [row[k] for k in ("setting", "batch", "net", "rate")]
        groups.setdefault(", ".join(where), []).append(row)
    return {"runs": len(rows), "by_group": {k: _describe(group) for k, group in groups.items()}}


def _describe(rows: list[Row]) -> Row:
    return {
        "survived": sum(r["loss"] is not None for r in rows),
        "at_edge": sum(at_edge(r) for r in rows),
        "top": [between(r["top"][k] for r in rows) for k in range(len(BUDGETS))],
        "peak": between(r["peak"] for r in rows)["median"],
        "loss": between(r["loss"] for r in rows)["median"],
        "length": between(r["length"] for r in rows),
        "falls": between(
            rounded(abs(r["start"]) / r["top"][1]) for r in rows if (r["top"][1] or 0) > 0
        )["median"],
    }


def _experiment(name: str, title: str, question: str, grid: dict, **fixed) -> Experiment:
    return Experiment(
        name=name,
        title=title,
        claims=("C29",),
        question=question,
        settings={
            "networks": "those of landscape-mlp, landscape-cnn, landscape-linear",
            "settings": {
                k: dict(zip(("rates", "steps", "rows", "minibatch"), v, strict=True))
                for k, v in SETTINGS.items()
            },
            "batch": "all: every row at every step; small: a minibatch (all rows for the matrices)",
            "top": "rate times the eigenvalue of the Hessian (of the loss on all rows, in training "
            f"mode) of largest absolute value; {ITERATIONS} power iterations every {EVERY} steps "
            "from the vector before; median over the last third of a quarter, half and all steps",
            "along": "rate times ||H g|| / ||g||, half of the steps",
            "peak": "largest rate times eigenvalue after the first eighth of the run",
            "length": "norm of the weights with BN behind them over its start",
            "at_edge": f"top between {NEAR[0]} and {NEAR[1]} after a quarter, half and all steps",
            **fixed,
        },
        grid=grid,
        run=run,
        summarise=summarise,
        notes=("falls: absolute eigenvalue at the start over that after half of the steps",),
    )


EDGES = _experiment(
    "edges",
    "Does training settle at the edge of stability?",
    "Is rate times the largest curvature near 2 late in training, with BN and without?",
    {"setting": ("sigmoid", "tanh", "relu", "25 matrices"), "batch": ("small",),
     "net": ("plain", "bn"),
     "rate": RATES, "seed": SEEDS},
    no="BN settles at the edge by itself only if at_edge holds in most seeds of every setting at "
    "every rate at which the loss falls; that this is BN's doing, only if plain does not",
)  # fmt: skip
EDGES_CNN = _experiment(
    "edges-cnn",
    "Does training settle at the edge of stability? A small CNN",
    "Is rate times the largest curvature near 2 late in training, with BN and without?",
    {"setting": ("cnn",), "batch": ("small",), "net": ("plain", "bn"),
     "rate": RATES, "seed": SEEDS[:5]},
    no="as for edges",
)  # fmt: skip
EDGES_HELD = _experiment(
    "edges-held",
    "The same with all rows at every step, and with weights that cannot grow",
    "Is it the noise of minibatches, or do longer weights explain where training with BN settles?",
    {"setting": ("relu", "25 matrices"), "batch": ("all",),
     "net": ("plain", "bn", "bn-held"), "rate": RATES, "seed": SEEDS[:5]},
    held="after every step each weight matrix with BN behind it is drawn back to its first norm",
    no="longer weights are not the reason if the held network ends at the same product",
)  # fmt: skip
