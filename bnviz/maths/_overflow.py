"""What `nets.BatchNorm` does where numbers leave their format although no input has.

Ordinary numbers never come here: the layer looks whether something was lost, and only then measures
each feature in a unit of its own, a power of two near its largest value, which rounds nothing.
"""

import torch
from torch import Tensor
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

__all__ = ["average", "in_units", "inverse_root", "lost", "mended", "unscaled", "values_known"]


def values_known(x: Tensor) -> bool:
    """Whether x has numbers to look at: not in a graph that is being traced, nor under vmap."""
    interpreters = torch._C._functorch.peek_interpreter_stack()  # pyright: ignore
    return not (
        type(x) not in (Tensor, torch.nn.Parameter)
        or x.is_meta
        or torch.compiler.is_compiling()
        or torch.jit.is_tracing()  # pyright: ignore[reportPrivateImportUsage]
        or is_in_torch_dispatch_mode()
        or interpreters is not None
    )


def lost(var: Tensor, eps: float) -> bool:
    """Whether a variance overflowed, or became 0 beside an eps that its format cannot hold."""
    return not bool((torch.isfinite(var) & (var + eps > 0)).all())


def _column(v: Tensor, x: Tensor) -> Tensor:
    return v.reshape(-1, *[1] * (x.ndim - 2))


def in_units(x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """unit, mu_B / unit, (x - mu_B) / unit and the biased var_B / unit^2, each feature by itself.

    A feature that is not finite keeps the unit 1, and so becomes NaN.
    """
    axes = (0, *range(2, x.ndim))
    largest = x.detach().abs().amax(axes)  # (d,)
    usable = torch.isfinite(largest) & (largest > 0)
    exponent = torch.frexp(torch.where(usable, largest, 1.0)).exponent
    unit = torch.ldexp(torch.ones_like(largest), exponent - 1)
    x = x / _column(unit, x)  # in [-2, 2]
    mean = x.mean(axes)
    centred = x - _column(mean, x)
    return unit, mean, centred, (centred**2).mean(axes)


def inverse_root(var: Tensor, eps: float, unit: Tensor) -> Tensor:
    """1 / sqrt(var + eps / unit^2) of a variance in units, finite where var is."""
    tiny = torch.finfo(var.dtype).tiny
    wide = unit.to("cpu", torch.float64)  # eps may be below what var's format can hold
    return torch.rsqrt((var + ((eps / wide) / wide).to(var)).clamp(min=tiny))


def _held(v: Tensor) -> Tensor:
    """Infinity as the largest number of the format; NaN stays."""
    top = torch.finfo(v.dtype).max
    return v.clamp(-top, top)


def unscaled(mean: Tensor, var: Tensor, unit: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance without units, as far as the format holds them."""
    return _held(mean * unit), _held(var * unit * unit)


def average(old: Tensor, new: Tensor, weight: Tensor) -> Tensor:
    """(1 - w) old + w new. Not lerp: that is NaN where old is infinite, or new - old overflows.

    A new value that its format does not hold counts as the largest one; an old one stays infinite.
    """
    kept = torch.where(weight == 1, 0.0, (1 - weight) * old)
    return kept + torch.where(weight == 0, 0.0, weight * _held(new))


def mended(x_hat: Tensor, x: Tensor, mean: Tensor, var: Tensor, eps: float) -> Tensor:
    """x_hat of an evaluation, or what it should be where something overflowed on the way.

    Raises ValueError for a variance below 0.
    """
    if (var < 0).any():
        raise ValueError(
            f"running_var holds {var.min()}, must be >= 0: load the variance, not its log, or "
            "measure anew with reestimate"
        )
    if torch.isfinite(x_hat).all():
        return x_hat
    tiny = torch.finfo(var.dtype).tiny
    root = torch.rsqrt((var + eps).clamp(min=tiny))
    half = (x / 2 - _column(mean, x) / 2) * _column(root, x) * 2
    return torch.where(torch.isfinite(x), _held(half), half)
