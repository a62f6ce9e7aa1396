"""`normalize`: Algorithm 1 in a table of numbers, one stage at a time."""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers._hidden import second_layer
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths.data import digits
from bnviz.templates.normalize import normalize

__all__ = ["NORMALIZE", "UNITS", "batch"]

BATCH = 8
UNITS = (5, 16, 52, 13, 0, 23)
STAGES = (
    "whole batch",
    "one column",
    "its mean",
    "minus mean",
    "its variance",
    "normalise",
    "scale, shift",
    "all columns",
)
_UP_TO = {"mean": 1.5, "centred": 2.5, "variance": 3.5, "normalised": 4.5, "shifted": 5.5}


@cache
def batch() -> Tensor:
    """Eight digits, six units of the second hidden layer: (m, d)."""
    return second_layer(BATCH)[:, list(UNITS)].clone()


def compute(
    stage: Tensor, column: Tensor, gamma: Tensor, beta: Tensor, eps: Tensor
) -> dict[str, Tensor]:
    """Algorithm 1 up to `stage`, in one column or, at the last stage, in all of them.

    The other columns keep gamma 1 and beta 0. `strong` and `pale` are two tables (rows, d), bottom
    row first: beta, gamma, variance, mean, an empty row, then the digits from last to first.
    """
    x = batch()  # (m, d)
    mu = x.mean(0)  # (d,)
    var = ((x - mu) ** 2).mean(0)  # (d,), biased: divided by m
    x_hat = (x - mu) / torch.sqrt(var + eps)
    picked = torch.arange(len(UNITS)) == column.round() - 1  # (d,)
    gammas = torch.where(picked, gamma, 1.0)
    betas = torch.where(picked, beta, 0.0)

    reached = torch.where(picked | (stage > 6.5), stage, 0.0)  # (d,), the stage of each column
    shown = torch.where(reached > _UP_TO["centred"], x - mu, x)
    shown = torch.where(reached > _UP_TO["normalised"], x_hat, shown)
    shown = torch.where(reached > _UP_TO["shifted"], gammas * x_hat + betas, shown)  # (m, d)

    nothing = torch.full_like(mu, torch.nan)
    known = [
        torch.where(reached > _UP_TO["variance"], var, nothing),
        torch.where(reached > _UP_TO["mean"], mu, nothing),
    ]
    table = torch.cat([torch.stack([betas, gammas, *known, nothing]), shown.flip(0)])
    used = (reached > _UP_TO["shifted"]).expand(2, -1)  # gamma and beta
    looked_at = (picked | (stage < 0.5) | (stage > 6.5)).expand(len(table) - 2, -1)
    strong = torch.cat([used, looked_at])
    outputs = {
        "strong": torch.where(strong, table, torch.nan),
        "pale": torch.where(strong, torch.nan, table),
        "at": stage.round().reshape(1),
        "frame": _frame(stage, column.round()),
        "unit": (torch.tensor(UNITS) * picked).sum().float(),
        "mu": (mu * picked).sum(),
        "var": (var * picked).sum(),
    }
    for name, v in (("before", x), ("now", shown)):
        outputs |= _describe(name, (v * picked).sum(1))
    return outputs


def _frame(stage: Tensor, column: Tensor) -> Tensor:
    """Left, right, right, left, left edge of what is being worked on."""
    whole = (stage < 0.5) | (stage > 6.5)
    left = torch.where(whole, -0.5, column - 1.5)
    right = torch.where(whole, len(UNITS) - 0.5, column - 0.5)
    return torch.stack([left, right, right, left, left])


def _describe(name: str, v: Tensor) -> dict[str, Tensor]:
    mean = v.mean()
    std = torch.sqrt(((v - mean) ** 2).mean())
    return {
        f"{name}_v": v,
        f"{name}_bar": torch.stack([mean - std, mean, mean + std]),
        f"{name}_mean": mean,
        f"{name}_std": std,
    }


NORMALIZE = Explorer(
    name="normalize",
    title="Batch Normalization, cell by cell",
    caption=(
        "Eight handwritten digits (rows) and six units of a hidden layer (columns); these eight "
        "are the batch. Move the stage from left to right and follow one column: which numbers are "
        "used, and which change? Below the table: the same column as dots, before and now, with a "
        "line from one standard deviation below its mean to one above."
    ),
    controls=(
        Slider("stage", "stage", 0, 7, 0, 1, format="|" + "|".join(STAGES)),
        Slider("column", "column", 1, len(UNITS), 1, 1, format="d"),
        Slider("gamma", "γ of this column", -3, 3, 1, 0.05),
        Slider("beta", "β of this column", -5, 5, 0, 0.1),
        Slider("eps", "ε, added to σ²", 1e-8, 10, 1e-5, 0.25, scale="log10", format=".1e"),
    ),
    compute=compute,
    figure=normalize(digits().y_train[:BATCH].tolist(), UNITS),
    bindings=(
        Binding("pale", "pale", "z"),
        Binding("strong", "strong", "z"),
        Binding("at", "stage", "x"),
        Binding("frame", "frame", "x"),
        *(Binding(f"{name}_v", f"{name}-dots", "x") for name in ("before", "now")),
        *(Binding(f"{name}_bar", f"{name}-bar", "x") for name in ("before", "now")),
    ),
    readout=(
        "{stage:|The whole batch, as it came|One column: all that BN looks at at once|"
        "Its mean: add up the column, divide by 8|Subtract the mean from every cell|"
        "Its variance: the mean of the squared cells|Divide every cell by the root of σ² + ε|"
        "Multiply by γ, add β|Every column, each with its own mean and variance}. "
        "Unit {unit:d}: mean {mu:.2f} and variance {var:.2f} in this batch; its cells now have "
        "mean {now_mean:.2f} and standard deviation {now_std:.2f}."
    ),
)
