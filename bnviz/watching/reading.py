"""What one tensor comes to: numbers, and a sample of its values for the histogram.

Of a large tensor, only an evenly spaced sample of `SAMPLE` values is looked at where every value
would cost as much as a layer of the network. All is computed in float32 or float64, whatever the
tensor's own format, so that half precision neither overflows nor loses what is small.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase  # pyright: ignore[reportPrivateUsage]

from bnviz.watching.flat import Interval, share_within, units_within

__all__ = [
    "SAMPLE",
    "Reading",
    "batch_statistics",
    "compare",
    "dead_units",
    "is_batch_norm",
    "read",
    "sample",
]

SAMPLE = 1 << 16


@dataclass
class Reading:
    """One call of one layer.

    Attributes:
        n: finite values in the sample.
        lost: share of the sample that is not finite.
        values: the finite ones of the sample, float32 on the CPU.
        flat: share of them where the activation is flat; None where that has no meaning.
        low, high: smallest and largest value of each unit over the batch, (units,); none for layers
            that are no activations.
        batch: of a BN layer: values per feature.
        gap: of a BN layer with running values, see `compare`.
        frozen: of a BN layer: it runs in evaluation mode, on its running values.
        squares, gradients: sum of squares of the sampled gradient, and how many values that were.
    """

    n: int
    lost: float
    values: Tensor
    flat: float | None = None
    low: Tensor | None = None
    high: Tensor | None = None
    batch: int | None = None
    gap: tuple[float, float] | None = None
    frozen: bool = False
    squares: float = 0.0
    gradients: int = 0


def sample(v: Tensor) -> Tensor:
    """At most about `SAMPLE` values of a tensor, evenly spaced through all of its axes.

    The distance between two has no factor in common with the number of values, so that no row,
    column or channel is left out by its rhythm.

    >>> sample(torch.arange(3.0)).tolist()
    [0.0, 1.0, 2.0]
    """
    flat = v.detach().reshape(-1) if v.is_contiguous() else _in_memory_order(v.detach())
    distance = len(flat) // SAMPLE
    if distance < 2:
        return flat
    while math.gcd(distance, len(flat)) > 1:
        distance += 1
    return flat[::distance]


def _in_memory_order(v: Tensor) -> Tensor:
    """One axis, without a copy where memory has no gaps: which value is whose is of no interest."""
    order = sorted(range(v.ndim), key=v.stride, reverse=True)
    return v.permute(order).reshape(-1)


def read(v: Tensor, intervals: tuple[Interval, ...], axis: int | None) -> Reading:
    """Look at what enters or leaves a layer.

    Args:
        v: floating point, any shape with at least one value.
        intervals: where the activation behind it is flat.
        axis: of the units; None where single units are of no interest.
    """
    # a copy: the next module may change v in place
    drawn = sample(v).to("cpu", torch.float32, copy=True)
    finite = torch.isfinite(drawn)
    whole = bool(finite.all())
    values = drawn if whole else drawn[finite]
    lost = 0.0 if whole else 1 - len(values) / len(drawn)
    reading = Reading(len(values), lost, values)
    if intervals and len(values):
        reading.flat = share_within(values, intervals)
        if axis is not None:
            others = [k for k in range(v.ndim) if k != axis % v.ndim]
            v = v.detach()
            reading.low = v.amin(others).float().cpu() if others else v.float().cpu()
            reading.high = v.amax(others).float().cpu() if others else v.float().cpu()
    return reading


def dead_units(readings: list[Reading], intervals: tuple[Interval, ...]) -> float | None:
    """Share of units that were flat for every example of every call; None if that is unknown."""
    ends = [(r.low, r.high) for r in readings if r.low is not None and r.high is not None]
    if not ends or len({len(low) for low, _ in ends}) > 1:
        return None
    low = torch.stack([low for low, _ in ends]).amin(0)
    high = torch.stack([high for _, high in ends]).amax(0)
    return units_within(low, high, intervals).float().mean().item()


@torch.no_grad()
def batch_statistics(x: Tensor) -> tuple[int, Tensor, Tensor]:
    """Values per feature, mean and BIASED variance of what enters a BN layer, (features,) each.

    In float32 at least, as PyTorch's own layer does it under autocast.
    """
    x = x.detach()
    x = x.float() if x.dtype in (torch.float16, torch.bfloat16) else x
    axes = [0, *range(2, x.ndim)] if x.ndim > 1 else [0]
    var, mean = torch.var_mean(x, axes, correction=0)
    return x.numel() // max(x.shape[1] if x.ndim > 1 else 1, 1), mean.cpu(), var.cpu()


def compare(found: Reading, layer: nn.Module, x: Tensor) -> None:
    """Put into a reading how far the running values of a BN layer are from those of its batch.

    `gap` becomes two numbers: the root mean square over features of (mu_B - mean) / sqrt(var + eps)
    and the geometric mean over features of (n / (n - 1) var_B + eps) / (var + eps). It stays None
    for a layer without running values, and where a number is not finite.
    """
    mean, var = (getattr(layer, name, None) for name in ("running_mean", "running_var"))
    found.frozen = mean is not None and not layer.training
    if x.ndim < 2:
        return
    found.batch, batch_mean, batch_var = batch_statistics(x)
    if not isinstance(mean, Tensor) or not isinstance(var, Tensor):
        return
    eps = float(getattr(layer, "eps", 0.0))
    held_mean, held_var = (v.detach().to("cpu", batch_mean.dtype) for v in (mean, var))
    floor = torch.finfo(batch_mean.dtype).tiny
    wide = (held_var + eps).clamp_min(floor)
    n = found.batch
    unbiased = batch_var * (n / (n - 1)) if n > 1 else batch_var
    away = ((batch_mean - held_mean) / wide.sqrt()).square().mean().sqrt().item()
    ratio = ((unbiased + eps).clamp_min(floor) / wide).log().mean().exp().item()
    found.gap = (away, ratio) if math.isfinite(away) and math.isfinite(ratio) else None


def is_batch_norm(module: nn.Module) -> bool:
    """Whether a module normalises over the batch and may keep running values.

    PyTorch's BatchNorm and SyncBatchNorm, their subclasses, and any module with the same buffers.
    """
    if isinstance(module, nn.modules.instancenorm._InstanceNorm):  # pyright: ignore[reportPrivateUsage]
        return False  # has the buffers, but not the batch
    return isinstance(module, _NormBase) or {"running_mean", "running_var"} <= {
        name for name, _ in module.named_buffers(recurse=False)
    }
