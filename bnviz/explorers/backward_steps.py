"""`backward-steps`: each gradient of BN's backward pass, by formula and by autograd."""

import torch
from torch import Tensor

from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.templates.backward_steps import backward_steps

__all__ = ["BACKWARD_STEPS", "autograd", "example", "staged"]

SIZES = (2, 4, 8, 16, 32, 64, 128, 256)  # batch sizes of the error curves
LARGEST = SIZES[-1]
SHOWN, FEATURES = 8, 2  # examples and features in the tables
# first and last row of dx_hat, dvar, dmu and dx in a table; two rows between them stay free
ROWS = ((0, SHOWN - 1), (SHOWN + 1,) * 2, (SHOWN + 2,) * 2, (SHOWN + 4, 2 * SHOWN + 3))
Gradients = tuple[Tensor, Tensor, Tensor, Tensor]  # dx_hat, dvar, dmu, dx


def example(seed: Tensor, pattern: Tensor) -> tuple[Tensor, Tensor]:
    """x and dy, both (LARGEST, FEATURES): random, and in dy a part that all examples share.

    dy = pattern * (1 + x) + noise / 2: a common push, and one that grows with x.
    """
    x = prng.normal((LARGEST, FEATURES), seed, stream=0)
    noise = prng.normal((LARGEST, FEATURES), seed, stream=1)
    return x, pattern * (1 + x) + noise / 2


def _total(v: Tensor, inside: Tensor) -> Tensor:
    """Sum over the examples of a batch, (..., 1, FEATURES)."""
    return torch.where(inside, v, 0.0).sum(-2, keepdim=True)


def staged(x, dy, inside, m, gamma, eps, again) -> Gradients:
    """The four gradients by their formulas; `again` = m takes S4's additional 1/m, 1 does not."""
    mu = _total(x, inside) / m
    var = _total((x - mu) ** 2, inside) / m
    inv_std = (var + eps) ** -0.5
    dx_hat = gamma * dy
    dvar = -0.5 * inv_std**3 * _total(dx_hat * (x - mu), inside) / again
    dmu = -inv_std * _total(dx_hat, inside) / again
    dx = dx_hat * inv_std + dvar * 2 * (x - mu) / m + dmu / m
    return dx_hat, dvar, dmu, dx


def autograd(x, dy, inside, m, gamma, eps) -> Gradients:
    """The same four by automatic differentiation of the forward pass, which shares no formula."""
    with torch.enable_grad():
        x = x.detach().clone().requires_grad_()
        mu = _total(x, inside) / m
        var = _total((x - mu) ** 2, inside) / m
        x_hat = (x - mu) / torch.sqrt(var + eps)
        loss = torch.where(inside, dy * (gamma * x_hat), 0.0).sum()
        dx_hat, dvar, dmu, dx = torch.autograd.grad(loss, (x_hat, var, mu, x))
        return dx_hat, dvar, dmu, dx


def compute(
    stage: Tensor,
    batch: Tensor,
    pattern: Tensor,
    gamma: Tensor,
    eps: Tensor,
    seed: Tensor,
    printed: Tensor,
) -> dict[str, Tensor]:
    """All batch sizes at once: those of the curves and, last, the chosen one."""
    m = torch.cat([torch.tensor(SIZES, dtype=torch.float32), batch.reshape(1)]).reshape(-1, 1, 1)
    inside = torch.arange(LARGEST).reshape(1, -1, 1) < m  # (sizes, LARGEST, 1)
    x, dy = (v.expand(len(SIZES) + 1, -1, -1) for v in example(seed, pattern))
    theirs = autograd(x, dy, inside, m, gamma, eps)
    right = staged(x, dy, inside, m, gamma, eps, again=1.0)
    wrong = staged(x, dy, inside, m, gamma, eps, again=m)
    used = [torch.where(printed > 0.5, b, a) for a, b in zip(right, wrong, strict=True)]
    gaps = [(a - b).abs() for a, b in zip(used, theirs, strict=True)]
    gaps = [torch.where(inside, gap, 0.0) if gap.shape[1] > 1 else gap for gap in gaps]
    errors = [_error(v[3], theirs[3], theirs[0], x, inside, m, eps) for v in (right, wrong)]
    here = torch.where(printed > 0.5, errors[1][-1], errors[0][-1])
    return {
        "formulas": _table(used, stage, inside),
        "autograd": _table(theirs, stage, inside),
        "apart": _table(gaps, stage, inside),
        "frame": _frame(stage),
        "right": errors[0][:-1],
        "wrong": errors[1][:-1],
        "here": here.reshape(1),
        "m": batch.reshape(1),
        "stage_apart": _pick(torch.stack([gap[-1].max() for gap in gaps]), stage),
        "dx_apart": gaps[3][-1].max(),
    }


def _error(dx, wanted, dx_hat, x, inside, m, eps) -> Tensor:
    """Size of the error in dx, as a share of the term dx_hat / sqrt(var + eps): (sizes,)."""
    mu = _total(x, inside) / m
    inv_std = (_total((x - mu) ** 2, inside) / m + eps) ** -0.5
    wrong = _total((dx - wanted) ** 2, inside).sum((1, 2))
    size = _total((dx_hat * inv_std) ** 2, inside).sum((1, 2))
    return torch.sqrt(wrong / torch.where(size > 0, size, 1.0))  # gamma = 0: nothing of nothing


def _table(gradients, stage: Tensor, inside: Tensor) -> Tensor:
    """The rows of one table for the chosen batch; later stages and other examples are NaN."""
    gap = torch.full((1, FEATURES), torch.nan)
    shown = inside[-1, :SHOWN]
    rows = []
    for number, gradient in enumerate(gradients, start=1):
        v = gradient[-1, :SHOWN]  # (SHOWN, FEATURES), or (1, FEATURES) for a statistic
        v = torch.where(shown, v, torch.nan) if len(v) > 1 else v
        rows.append(torch.where(stage > number - 0.5, v, torch.nan))
    dx_hat, dvar, dmu, dx = rows
    table = torch.cat([dx_hat, gap, dvar, dmu, gap, dx])
    return torch.where(table.abs() < 0.005, 0.0, table)  # no cell reads -0.00


def _pick(rows: Tensor, stage: Tensor) -> Tensor:
    """The row of a stage, which counts from 1; plain indexing by a tensor cannot be traced."""
    return rows.index_select(0, (stage - 1).long().reshape(1))[0]


def _frame(stage: Tensor) -> Tensor:
    """The corners of the rectangle around the newest stage; the first row of a table is at 0."""
    ends = torch.tensor([[0.5 - first, -0.5 - last] for first, last in ROWS])
    top, bottom = _pick(ends, stage).unbind()
    return torch.stack([top, top, bottom, bottom, top])


_PANELS = ("formulas", "autograd", "apart")
_STAGES = "|0|dx̂|dσ²|dμ|dx"

BACKWARD_STEPS = Explorer(
    name="backward-steps",
    title="Backward, one stage at a time",
    caption=(
        "Two features (columns) of the first eight examples (rows). Left: the staged formulas. "
        "Middle: PyTorch's autograd, which knows none of them. Right: how far apart they are. "
        "Below: the error of dx for every batch size, as a share of the size of its first term, "
        "dx̂ / √(σ² + ε) (root mean squares). Switch to the printed formulas, then raise the batch "
        "size."
    ),
    controls=(
        Slider("stage", "stage", 1, 4, 4, 1, format=_STAGES),
        Slider("batch", "batch size m", 2, LARGEST, 8, 1, scale="log2", format="d"),
        Slider("pattern", "shared part of dy", 0, 1.5, 1, 0.05),
        Slider("gamma", "γ", -2, 2, 1, 0.05),
        Slider("eps", "ε", 1e-8, 10, 1e-5, 0.25, scale="log10", format=".1e"),
        Slider("seed", "seed", 0, 20, 0, 1, format="d"),
        Toggle("printed", "S4's printed formulas", False),
    ),
    compute=compute,
    figure=backward_steps(FEATURES, ROWS, SIZES),
    bindings=(
        *(Binding(name, name, "z") for name in _PANELS),
        *(Binding("frame", f"{name}-frame", "y") for name in _PANELS),
        Binding("right", "right", "y"),
        Binding("wrong", "wrong", "y"),
        Binding("here", "here", "y"),
        Binding("m", "here", "x"),
    ),
    readout=(
        "Batch of {batch:d}, stage {stage:d}. Over the whole batch, formula and autograd "
        "differ by at most {stage_apart:.3f} in this stage and {dx_apart:.3f} in dx. The error of "
        "dx is {here:.0%} of the size of its first term."
    ),
)
