"""`batch-statistics`: how far the mean and variance of a batch are from those of all the data."""

from functools import cache
from math import pi, sqrt

import torch
from torch import Tensor

from bnviz.explorers._hidden import second_layer
from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import prng
from bnviz.templates.batch_statistics import MEAN_BINS, REACH, VAR_BINS, VAR_TOP, batch_statistics

__all__ = ["BATCHES", "BATCH_STATISTICS", "SIZES", "draws", "population"]

UNIT, POWER = 5, 10  # one hidden unit, for 2**10 digits
BATCHES, LARGEST = 400, 256
SIZES = (2, 4, 8, 16, 32, 64, 128, 256)


@cache
def population() -> tuple[Tensor, float, float]:
    """One unit's pre-activations for 1,024 digits, standardised; their mean and their std."""
    z = second_layer(2**POWER)[:, UNIT].double()
    mean, std = z.mean(), z.std(correction=0)
    return ((z - mean) / std).float(), mean.item(), std.item()


def draws(seed: Tensor) -> Tensor:
    """Every batch at its full size, each value drawn with replacement: (BATCHES, LARGEST).

    A batch of m is the first m of a row, so that a larger batch keeps the digits of a smaller one.
    """
    rows = prng.below(POWER, BATCHES * LARGEST, seed.round(), stream=0)
    return population()[0][rows].reshape(BATCHES, LARGEST)


def compute(batch: Tensor, draw: Tensor, unbiased: Tensor) -> dict[str, Tensor]:
    """mu_B and var_B of 400 batches, at size `batch` and at every size in SIZES."""
    _, mean, std = population()
    values = draws(draw)  # in units of std, about the mean of all digits
    sizes = torch.cat([torch.tensor(SIZES, dtype=torch.float32), batch.reshape(1)])  # (9,)
    inside = (torch.arange(LARGEST).unsqueeze(1) < sizes).float()  # (LARGEST, 9)
    mu = values @ inside / sizes  # (BATCHES, 9)
    var = (values**2 @ inside / sizes - mu**2).clamp(min=0)  # biased: divided by m
    var = torch.where(unbiased > 0.5, var * sizes / (sizes - 1), var)
    std_mu = torch.sqrt(((mu - mu.mean(0)) ** 2).mean(0))  # (9,)
    mean_var = var.mean(0)  # (9,)
    std_var = torch.sqrt(((var[:, -1] - mean_var[-1]) ** 2).mean())
    expected = torch.where(unbiased > 0.5, torch.ones_like(batch), (batch - 1) / batch)
    theory = 1 / torch.sqrt(batch)
    shape = _shares(mu[:, -1], -REACH, REACH, MEAN_BINS) * _peak(theory)
    ends = torch.tensor([-1.0, 0.0, 1.0])
    line = torch.linspace(-REACH, REACH, 161)
    return {
        "mu_share": shape,
        "bell": torch.exp(-(line**2) * batch / 2),
        "mu_bar": mean + std * (mu[:, -1].mean() + ends * std_mu[-1]),
        "band": mean + std * ends * theory,
        "var_share": _shares(var[:, -1], 0.0, VAR_TOP, VAR_BINS),
        "var_bar": std**2 * (mean_var[-1] + ends * std_var),
        "var_expected": (std**2 * expected).reshape(1),
        "spread": std_mu[:-1],
        "bias": mean_var[:-1],
        "size": batch.reshape(1),
        "spread_now": std_mu[-1:],
        "bias_now": mean_var[-1:],
        "theory": theory,
        "expected": expected,
        "spread_measured": std_mu[-1],
        "bias_measured": mean_var[-1],
        "population_mean": torch.full_like(batch, mean),
        "population_std": torch.full_like(batch, std),
    }


def _shares(v: Tensor, low: float, high: float, bins: int) -> Tensor:
    """Share of the values in each of equally wide bins; what lies outside is not counted."""
    edges = low + (high - low) / bins * torch.arange(bins + 1)  # (bins + 1,)
    below = (v.unsqueeze(1) < edges).float().mean(0)
    return below[1:] - below[:-1]


def _peak(std: Tensor) -> Tensor:
    """What makes a normal curve of this std as high as 1, given shares of one bin of mu_B."""
    return std * sqrt(2 * pi) * MEAN_BINS / (2 * REACH)


BATCH_STATISTICS = Explorer(
    name="batch-statistics",
    title="Another batch, another mean",
    caption=(
        "400 batches of m digits, drawn from 1,024; one unit. Above: the means and the variances "
        "of these batches; the dotted line is the value over all digits. Below: how far the means "
        "scatter and where the variances lie on average, at every batch size; the ring is the one "
        "you chose. Which of the two gets better when you divide by m − 1?"
    ),
    controls=(
        Slider("batch", "batch size m", 2, LARGEST, 8, 1, scale="log2", format="d"),
        Slider("draw", "draw again (seed)", 0, 50, 0, 1, format="d"),
        Toggle("unbiased", "unbiased variance: divide by m − 1", False),
    ),
    compute=compute,
    figure=batch_statistics(population()[1], population()[2], SIZES),
    bindings=(
        Binding("mu_share", "means", "y"),
        Binding("bell", "bell", "y"),
        Binding("band", "band", "x"),
        Binding("mu_bar", "means-bar", "x"),
        Binding("var_share", "variances", "y"),
        Binding("var_bar", "variances-bar", "x"),
        Binding("var_expected", "variances-expected", "x"),
        Binding("spread", "spread", "y"),
        Binding("bias", "bias", "y"),
        Binding("size", "spread-now", "x"),
        Binding("spread_now", "spread-now", "y"),
        Binding("size", "bias-now", "x"),
        Binding("bias_now", "bias-now", "y"),
    ),
    readout=(
        "Batches of {batch:d}: the means scatter by {spread_measured:.3f} σ, theory says "
        "σ/√m = {theory:.3f} σ. The {unbiased:|biased|unbiased} variances average "
        "{bias_measured:.3f} σ², theory says {expected:.3f} σ². (All digits: mean "
        "{population_mean:.2f}, σ = {population_std:.2f}.)"
    ),
    counts={"mu_share": "histogram", "var_share": "histogram"},
)
