"""What cures a covariate shift at the input? Shuffled minibatches, and importance weights.

Order: one program learns both gardens by small batches, which come sorted by garden, or shuffled.
Weights: another has photos of the first garden only, and counts each as often as the second garden
would send it. It minimises  sum_i w_i loss_i,  w_i = p_second(x_i) / p_first(x_i).

Source of the weights: Shimodaira (2000), section 2.
"""

import torch
from torch import Tensor

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths.gardens import CENTRE, fit, gardens

__all__ = ["GARDENS", "weights"]

DISTANCES = (1.0, 2.0, 3.0, 4.0)
PHOTOS = (200, 20_000)  # of each garden
CURVATURE = 0.4
DRAWS = tuple(range(20))
BATCH, EPOCHS, RATE = 20, 20, 0.1


def weights(x: Tensor, distance: float) -> Tensor:
    """p_second / p_first of photos x, (n, 2): both are normal with spread 1, `distance` apart.

    >>> weights(torch.tensor([[-1.0, 0.0]]), distance=2.0)  # half-way
    tensor([1.])
    """
    middle = -CENTRE + distance / 2
    return torch.exp(distance * (x[:, 0] - middle))


def run(cell: Row) -> Row:
    """Accuracies of one distance and draw: a line, or a line with the square, learns each way."""
    n = cell["photos"]
    place = [torch.tensor(v) for v in (cell["distance"], 1.0, CURVATURE, float(cell["draw"]), 0.0)]
    photos = gardens(n, *place)
    (x, rose), (other, truth) = photos["train"], photos["test"]
    square = cell["model"] == "curve"
    inputs, own = _inputs(x, square), _inputs(other, square)
    w = weights(x, cell["distance"])
    found: Row = {"effective": (w.sum() ** 2 / w.square().sum()).item()}
    found["plain"] = _right(own, fit(inputs, rose, torch.ones(n)), truth)
    found["weighted"] = _right(own, fit(inputs, rose, n * w / w.sum()), truth)
    found["own"] = _right(own, fit(own, truth, torch.ones(n)), truth)
    for order in ("sorted", "shuffled"):
        both: list[float | None] = [None, None]
        if n == PHOTOS[0]:  # batches take their time, and more photos would show no more
            v = _descend(inputs, rose, own, truth, order, cell["draw"])
            both = [_right(inputs, v, rose), _right(own, v, truth)]
        found[f"{order}_first"], found[f"{order}_second"] = both
    return found


def _inputs(x: Tensor, square: bool) -> Tensor:
    """1, x_1, x_2 and, if it is given, the square of x_1: (n, 4)."""
    return torch.stack([torch.ones(len(x)), x[:, 0], x[:, 1], float(square) * x[:, 0] ** 2], 1)


def _right(inputs: Tensor, w: Tensor, rose: Tensor) -> float:
    return ((inputs @ w > 0) == rose).double().mean().item()


def _descend(
    first: Tensor, rose: Tensor, second: Tensor, truth: Tensor, order: str, seed: int
) -> Tensor:
    """Logistic regression by minibatches: the first garden, then the second, or both mixed.

    Within a garden, and mixed, the order is drawn anew for every epoch.
    """
    x, y = torch.cat([first, second]), torch.cat([rose, truth]).float()  # (2 n, 4), (2 n,)
    generator, w = torch.Generator().manual_seed(seed), torch.zeros(4)
    for _ in range(EPOCHS):
        rows = torch.randperm(len(x), generator=generator)
        if order == "sorted":
            rows = rows[torch.argsort((rows >= len(first)).long(), stable=True)]
        for batch in rows.split(BATCH):
            p = torch.sigmoid(x[batch] @ w)
            w = w - RATE * x[batch].T @ (p - y[batch]) / len(batch)
    return w


def summarise(rows: list[Row]) -> dict:
    """Every column over the draws; and in how many draws weights, or shuffling, do better."""
    found = []
    axes = ("model", "photos", "distance")
    for cell in dict.fromkeys(tuple(r[a] for a in axes) for r in rows):
        mine = [r for r in rows if tuple(r[a] for a in axes) == cell]
        columns = [k for k in mine[0] if k not in (*axes, "draw")]
        found.append(
            {
                **dict(zip(axes, cell, strict=True)),
                **{k: between(r[k] for r in mine) for k in columns},
                "weights_better": sum(r["weighted"] > r["plain"] for r in mine),
                "shuffled_better": sum(_worse(r, "shuffled") > _worse(r, "sorted") for r in mine),
            }
        )
    return {"draws": len({r["draw"] for r in rows}), "cells": found}


def _worse(row: Row, order: str) -> float:
    """Accuracy in the garden that is read less well."""
    return min(row[f"{order}_{garden}"] or 0.0 for garden in ("first", "second"))


GARDENS = Experiment(
    name="gardens",
    title="Two cures of a covariate shift: shuffled minibatches, importance weights",
    claims=("C02",),
    question="Does shuffling the minibatches repair what sorting by garden breaks, and do weights "
    "repair what shuffling cannot?",
    settings={
        "curvature": CURVATURE,
        "models": "line: logistic regression on both features; curve: with the square of the first",
        "order": f"both gardens, batches of {BATCH}, {EPOCHS} epochs, rate {RATE}; sorted: in each "
        "epoch the first garden, then the second. Accuracy in either",
        "weights": "trained in the first garden, tested in the second; own: trained in the second",
        "effective": "(sum w)^2 / sum w^2: how many photos the weights leave",
        "no": "Shuffling does not help a model if it is better in the worse garden in less than 15 "
        "of 20 draws; weights do not if they are better in less than 15 of 20.",
    },
    grid={"model": ("line", "curve"), "photos": PHOTOS, "distance": DISTANCES, "draw": DRAWS},
    run=run,
    summarise=summarise,
)
