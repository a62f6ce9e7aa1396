"""`batch-coupling`: nudge one example, and watch the outputs of all the others move."""

import torch
from torch import Tensor

from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.templates.batch_coupling import batch_coupling

__all__ = ["BATCH_COUPLING", "X", "jacobian", "normalise"]

X = torch.tensor([-1.6, 0.9, 2.1, -0.4, 1.4, -2.3, 0.3, -1.0])  # one feature of a batch
LARGEST = len(X)


def normalise(x, inside, m, gamma, eps, of=None) -> Tensor:
    """y of BN with beta = 0, (LARGEST,), with the statistics of the examples inside the batch.

    `of`: take the statistics of this batch instead, as if they were frozen.
    """
    of = x if of is None else of
    mu = torch.where(inside, of, 0.0).sum() / m
    var = torch.where(inside, (of - mu) ** 2, 0.0).sum() / m
    return gamma * (x - mu) / torch.sqrt(var + eps)


def jacobian(x, inside, m, gamma, eps) -> Tensor:
    """dy_i/dx_j = gamma / sqrt(var + eps) * (delta_ij - 1/m - x_hat_i x_hat_j / m), with BN."""
    x_hat = normalise(x, inside, m, torch.tensor(1.0), eps)
    return _slope(x, inside, m, gamma, eps) * (
        torch.eye(LARGEST) - (1 + x_hat.unsqueeze(1) * x_hat) / m
    )


def _slope(x, inside, m, gamma, eps) -> Tensor:
    """gamma / sqrt(var + eps): how far y moves with x while the statistics stand still."""
    one = torch.ones(LARGEST)
    zero = torch.zeros(LARGEST)
    ends = [normalise(v, inside, m, gamma, eps, of=x)[0] for v in (one, zero)]
    return ends[0] - ends[1]


def compute(
    nudge: Tensor, sample: Tensor, batch: Tensor, gamma: Tensor, eps: Tensor, frozen: Tensor
) -> dict[str, Tensor]:
    """Before and after the nudge, the moves, the Jacobian before it; NaN beyond the batch."""
    number = torch.arange(LARGEST) + 1.0
    sample = torch.minimum(sample, batch)
    inside, nudged = number <= batch, number == sample
    after = torch.where(nudged, X + nudge, X)
    y_before = normalise(X, inside, batch, gamma, eps)
    y_after = torch.where(
        frozen > 0.5,
        normalise(after, inside, batch, gamma, eps, of=X),
        normalise(after, inside, batch, gamma, eps),
    )
    moves = torch.where(inside, y_after - y_before, torch.nan)
    j = torch.where(
        frozen > 0.5,
        _slope(X, inside, batch, gamma, eps) * torch.eye(LARGEST),
        jacobian(X, inside, batch, gamma, eps),
    )
    predicted = torch.where(nudged, j, 0.0).sum(1) * nudge
    square = inside & inside.unsqueeze(1)
    j = torch.where(j.abs() < 0.005, 0.0, j)  # no cell reads -0.00
    return {
        **_points("before", X, y_before, inside),
        **_points("after", after, y_after, inside),
        **_points("nudged", after, y_after, nudged),
        "own": torch.where(nudged, moves, torch.nan),
        "others": torch.where(nudged, torch.nan, moves),
        "predicted": torch.where(inside, predicted, torch.nan),
        "jacobian": torch.where(square, j, torch.nan),
        "column_x": sample + torch.tensor([-0.5, 0.5, 0.5, -0.5, -0.5]),
        "column_y": -torch.where(torch.tensor([1.0, 1, 0, 0, 1]) > 0.5, 0.5, batch + 0.5),
        "shown": sample,
        "own_move": torch.where(nudged, moves, 0.0).sum(),
        "far": torch.where(inside & ~nudged, moves.abs(), 0.0).max(),
        "sum": torch.where(inside, moves, 0.0).sum(),
    }


def _points(name: str, x: Tensor, y: Tensor, shown: Tensor) -> dict[str, Tensor]:
    """Inputs, then outputs; and a line from each input to its output, broken by NaN."""
    x, y = (torch.where(shown, v, torch.nan) for v in (x, y))
    lines = torch.stack([x, y, torch.full_like(x, torch.nan)], dim=1)
    return {f"{name}_points": torch.cat([x, y]), f"{name}_lines": lines.reshape(-1)}


_DRAWN = ("before", "after", "nudged")

BATCH_COUPLING = Explorer(
    name="batch-coupling",
    title="Nudge one, move all",
    caption=(
        "Top: each line leads from an input of the batch to its output; grey before the nudge, "
        "coloured after it. Only one input moves (diamond). Middle: how far each output moved; "
        "crosses are the prediction of the Jacobian. Bottom: the Jacobian before the nudge, "
        "output i (row) by input j (column); the nudged column is framed. Freeze the statistics, "
        "and the coupling is gone."
    ),
    controls=(
        Slider("nudge", "nudge", -2, 2, 2, 0.05),
        Slider("sample", "nudged example", 1, LARGEST, 4, 1, format="d"),
        Slider("batch", "batch size m", 2, LARGEST, LARGEST, 1, format="d"),
        Slider("gamma", "γ", -1.5, 1.5, 1, 0.05),
        Slider("eps", "ε", 1e-5, 10, 1e-5, 0.25, scale="log10", format=".1e"),
        Toggle("frozen", "freeze μ and σ²", False),
    ),
    compute=compute,
    figure=batch_coupling(LARGEST),
    bindings=(
        *(Binding(f"{name}_{kind}", f"{name}-{kind}", "x")
          for name in _DRAWN for kind in ("lines", "points")),
        *(Binding(name, name, "y") for name in ("own", "others", "predicted")),
        Binding("jacobian", "jacobian", "z"),
        Binding("column_x", "column", "x"),
        Binding("column_y", "column", "y"),
    ),
    readout=(
        "A nudge of {nudge:.2f} to input {shown:d} of {batch:d} moves its own output by "
        "{own_move:.2f} and the farthest-moving other one by {far:.2f}. All moves together sum up "
        "to {sum:.2f}."
    ),
)  # fmt: skip
