"""`epsilon`: a feature that hardly varies, in the float32 arithmetic that networks run in.

Rounding is the subject here, so it must be the same in PyTorch and in the page. Every operation is
an elementwise one, which IEEE 754 rounds in one way only, and sums are taken over halves in a fixed
order: no host is free to add in an order of its own.
"""

from functools import cache

import torch
from torch import Tensor

from bnviz.explorers._hidden import second_layer
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.templates.epsilon import BINS, REACH, STDS, epsilon

__all__ = ["EPSILON", "shape"]

M, UNIT = 256, 5  # M is a power of two: its halves are whole, dividing by it is exact


@cache
def shape() -> Tensor:
    """The deviations of one real unit for 256 digits, brought to mean 0 and variance 1: (M,)."""
    z = second_layer(M)[:, UNIT].double()
    return ((z - z.mean()) / z.std(correction=0)).float()


def _sum(v: Tensor) -> Tensor:
    """Sum over halves: ((v0 + v128) + (v64 + v192)) + ..., always in this order."""
    while len(v) > 1:
        v = v[: len(v) // 2] + v[len(v) // 2 :]
    return v[0]


def _mean(v: Tensor) -> Tensor:
    return _sum(v) / M


def compute(std: Tensor, eps: Tensor, offset: Tensor) -> dict[str, Tensor]:
    """Round the feature offset + std * z to float32, normalise it in float32, see what is left."""
    z = shape()  # (M,)
    x = offset + std * z
    mu = _mean(x)
    var = _mean((x - mu) ** 2)
    x_hat = (x - mu) / torch.sqrt(var + eps)

    centred = x_hat - _mean(x_hat)
    var_out = _mean(centred**2)
    std_out = torch.sqrt(var_out)
    some = torch.where(var_out > 0, var_out, 1.0)
    meant = torch.where(var_out > 0, _mean(centred * z) ** 2 / some, 0.0).clamp(max=1)
    twins = (x.unsqueeze(0) == x.unsqueeze(1)).float().sum(1)  # (M,), values equal to each
    grid = torch.tensor(STDS)
    return {
        "in_share": _shares((x - offset) / std),
        "out_share": _shares(x_hat),
        "curve": grid / torch.sqrt(grid**2 + eps),
        "std_x": std.reshape(1),
        "std_y": std_out.reshape(1),
        "std_out": std_out,
        "expected": std / torch.sqrt(std**2 + eps),
        "std_in": torch.sqrt(var),
        "levels": (1 / twins).sum(),
        "meant": meant,
    }


def _shares(v: Tensor) -> Tensor:
    """Share of the values in each bin; values outside count in the bins at the ends."""
    inner = -REACH + 2 * REACH / BINS * torch.arange(1, BINS)  # (BINS - 1,)
    below = (v.unsqueeze(1) < inner).float().mean(0)
    below = torch.cat([torch.zeros(1), below, torch.ones(1)])
    return below[1:] - below[:-1]


EPSILON = Explorer(
    name="epsilon",
    title="A feature that hardly varies",
    caption=(
        "256 real pre-activations, squeezed to the spread and moved to the mean that you choose, "
        "then stored and normalised in float32. Lower the spread until BN lets go of it: the dot "
        "slides down its curve. The dashed curves are ε = 10⁻⁸ (one of the sources), 10⁻⁵ "
        "(PyTorch) and 10⁻³ (Keras). Then raise the mean: the histograms fall apart into the few "
        "values that float32 can still tell apart."
    ),
    controls=(
        Slider("std", "spread (std) of x", 1e-8, 10, 1e-3, 0.25, scale="log10", format=".1e"),
        Slider("eps", "ε, added to σ²", 1e-12, 0.1, 1e-5, 0.25, scale="log10",
               format=".1e"),
        Slider("offset", "mean of x", 0.01, 1e4, 1, 0.25, scale="log10", format=".3g"),
    ),
    compute=compute,
    figure=epsilon(),
    bindings=(
        Binding("in_share", "before", "y"),
        Binding("out_share", "after", "y"),
        Binding("curve", "curve", "y"),
        Binding("std_x", "point", "x"),
        Binding("std_y", "point", "y"),
    ),
    readout=(
        "A spread of {std:.1e} about {offset:.3g}: of 256 different values float32 keeps "
        "{levels:d}, with a spread of {std_in:.1e}. After BN the spread is {std_out:.3f}; exact "
        "arithmetic would give {expected:.3f}. Of the variance that comes out, {meant:.0%} is the "
        "feature's own and not the work of rounding."
    ),
    counts={"in_share": "histogram", "out_share": "histogram"},
)  # fmt: skip
