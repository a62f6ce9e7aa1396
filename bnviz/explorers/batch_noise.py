"""`batch-noise`: how mu_B, sigma_B and 1 / sigma_B scatter, for a batch and for parts of it."""

import torch
from torch import Tensor

from bnviz.explorers.batch_statistics import population
from bnviz.figure.controls import Choice, Slider
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import noise, prng
from bnviz.templates.batch_noise import BATCHES, LARGEST, SIZES, STATISTICS, TOPS, batch_noise

__all__ = ["BATCH_NOISE", "DATA", "values"]

DATA = ("Gaussian", "one unit, digits")
POWER, EPS = 10, 1e-5
LAWS = {"mu": noise.mean, "sigma": noise.deviation, "inverse": noise.inverse_deviation}


def values(data: Tensor, draw: Tensor) -> Tensor:
    """Every batch at its full size, mean 0 and variance 1 over all data: (BATCHES, LARGEST).

    A batch of m is the first m of a row, and so is a group of m.
    """
    gaussian = prng.normal((BATCHES, LARGEST), draw.round(), stream=0)
    rows = prng.below(POWER, BATCHES * LARGEST, draw.round(), stream=1)
    digits = population()[0][rows].reshape(BATCHES, LARGEST)
    return torch.where(data < 0.5, gaussian, digits)


def compute(batch: Tensor, group: Tensor, data: Tensor, draw: Tensor) -> dict[str, Tensor]:
    """The statistics of all batches at every size in SIZES, at `batch`, and of one group each."""
    v = values(data, draw)
    group = torch.minimum(group, batch)
    sizes = torch.cat([torch.tensor(SIZES, dtype=torch.float32), torch.stack([batch, group])])
    inside = (torch.arange(LARGEST) < sizes.unsqueeze(1)).float()  # (sizes, LARGEST)
    mu = (v.unsqueeze(1) * inside).sum(2) / sizes  # (BATCHES, sizes)
    centred = (v.unsqueeze(1) - mu.unsqueeze(2)) * inside
    sigma = torch.sqrt((centred**2).sum(2) / sizes)  # biased: divided by m
    found = {"mu": mu, "sigma": sigma, "inverse": torch.rsqrt(sigma**2 + EPS)}
    jitter = torch.linspace(-0.16, 0.16, BATCHES)[_shuffled()].unsqueeze(1)
    outputs = {
        "cloud_x": (sizes[:-2] * 2**jitter).flatten(),
        "batch_x": (batch * 2**jitter).flatten(),
        "line_x": batch.expand(2),
        "group_size": group,
        "theory_batch": 1 / torch.sqrt(batch),
        "theory_group": 1 / torch.sqrt(group),
    }
    for name in STATISTICS:
        low, high = TOPS[name]
        drawn = found[name].clamp(low, high)
        # 1 / sigma of a few batches of two would decide all, and its last digits are rounding
        told = drawn if name == "inverse" else found[name]
        outputs |= {
            f"{name}_cloud": drawn[:, :-2].flatten(),
            f"{name}_group": drawn[:, -1],
            f"{name}_batch_std": _std(told[:, -2]),
            f"{name}_group_std": _std(told[:, -1]),
        }
    return outputs


def _std(v: Tensor) -> Tensor:
    return torch.sqrt(((v - v.mean()) ** 2).mean())


def _shuffled() -> Tensor:
    """An order of the batches in which neighbours are far apart."""
    return torch.arange(BATCHES) * 47 % BATCHES


BATCH_NOISE = Explorer(
    name="batch-noise",
    title="How noisy are the statistics of a batch?",
    caption=(
        "Each dot is one batch of the size below it. The grey lines hold one standard deviation to "
        "either side of the mean, as theory has it for Gaussian values. Violet: batches of m, cut "
        "into groups of g (at most m) that are normalised by themselves; each dot is one group. "
        "What lies beyond an axis is drawn at its end. In which panel do small batches differ most "
        "from large ones?"
    ),
    controls=(
        Slider("batch", "batch size m", 2, LARGEST, 64, 1, scale="log2", format="d"),
        Slider("group", "group size g", 2, LARGEST, 64, 1, scale="log2", format="d"),
        Choice("data", "values", DATA, DATA[0]),
        Slider("draw", "draw again (seed)", 0, 50, 0, 1, format="d"),
    ),
    compute=compute,
    figure=batch_noise(LAWS),
    bindings=tuple(
        binding
        for name in STATISTICS
        for binding in (
            Binding("cloud_x", f"{name}-cloud", "x"),
            Binding(f"{name}_cloud", f"{name}-cloud", "y"),
            Binding("batch_x", f"{name}-group", "x"),
            Binding(f"{name}_group", f"{name}-group", "y"),
            Binding("line_x", f"{name}-line", "x"),
        )
    ),
    readout=(
        "Batches of {batch:d} in groups of {group_size:d}. A group's mean scatters by "
        "{mu_group_std:.3f} (theory {theory_group:.3f}), its σ by {sigma_group_std:.3f}, its 1/σ "
        "by {inverse_group_std:.3f}. Of the whole batch: {mu_batch_std:.3f} (theory "
        "{theory_batch:.3f}), {sigma_batch_std:.3f}, {inverse_batch_std:.3f}. (1/σ beyond 4 counts "
        "as 4.)"
    ),
)
