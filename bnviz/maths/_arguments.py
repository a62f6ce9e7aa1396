"""What functions ask of their arguments, and the words when they do not get it.

Types and shapes only: they are known while a function is traced into a graph, and values are not.
"""

import math
from numbers import Integral, Real
from typing import SupportsFloat, cast

import torch
from torch import Tensor

__all__ = ["finite", "floats", "instance", "like", "number", "seed_number", "tensor", "whole"]

LARGEST_SEED = 2**32 - 2  # the hash takes seed + 1, below 2**32


def whole(name: str, value: object, low: float, high: float = math.inf) -> None:
    """Raise TypeError unless the value is a whole number, ValueError unless low <= value <= high.

    >>> whole("n", 2.5, 1)
    Traceback (most recent call last):
    TypeError: n must be a whole number, got 2.5
    """
    if isinstance(value, bool) or not isinstance(value, (Integral, torch.SymInt)):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if not low <= cast(int, value) <= high:
        least = f"at least {low}" if high == math.inf else f"in [{low}, {high}]"
        raise ValueError(f"{name} must be {least}, got {value}")


def instance(name: str, value: object, kind: type, called: str) -> None:
    """Raise TypeError unless the value is of that kind, such as "a tensor".

    >>> instance("x", 2.5, Tensor, "a tensor")
    Traceback (most recent call last):
    TypeError: x must be a tensor, got float
    """
    if not isinstance(value, kind):
        raise TypeError(f"{name} must be {called}, got {type(value).__name__}")


def seed_number(seed: object) -> int:
    """A seed as an int; a float such as 2.0 will do.

    Raises TypeError unless it is a number, ValueError unless it is whole and in [0, 2**32 - 2].
    """
    if isinstance(seed, bool) or not isinstance(seed, Real):
        raise TypeError(f"seed must be a whole number, got {seed!r}")
    number = cast(float, seed)
    if not 0 <= number <= LARGEST_SEED or number != int(number):
        raise ValueError(f"seed must be a whole number in [0, {LARGEST_SEED}], got {seed}")
    return int(number)


def finite(value: SupportsFloat) -> bool:
    """Whether a number is finite, as a float. Raises TypeError for what is no real number."""
    try:
        return math.isfinite(value)
    except OverflowError:  # an int that no float can hold
        return False


def number(
    name: str,
    value: object,
    low: float = -math.inf,
    high: float = math.inf,
    *,
    above: bool = False,
) -> None:
    """Raise TypeError unless the value is a real number, ValueError unless finite, low to high.

    With `above`, low itself will not do. A tensor must be a scalar; its value is not looked at.
    """
    if isinstance(value, Tensor) and value.dtype != torch.bool:
        return tensor(name, value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if not finite(value) or not low <= cast(float, value) <= high or (above and value == low):
        least = "" if low == -math.inf else f" {'>' if above else '>='} {low:g}"
        least += "" if high == math.inf else f" and <= {high:g}"
        raise ValueError(f"{name} must be a finite number{least}, got {value}")


def tensor(name: str, v: object, *axes: str | int) -> None:
    """Raise TypeError unless v is a real tensor, ValueError unless it has these axes.

    An axis is called by a word, and then has at least one value, or by its length. No axes: scalar.

    >>> tensor("x", torch.zeros(2, 3), "m", 64)
    Traceback (most recent call last):
    ValueError: x must be (m, 64), got shape (2, 3)
    """
    if not isinstance(v, Tensor) or v.is_complex():
        kind = str(v.dtype) if isinstance(v, Tensor) else type(v).__name__
        raise TypeError(f"{name} must be a tensor of real numbers, got {kind}")
    fits = v.ndim == len(axes) and all(
        n >= 1 if isinstance(axis, str) else n == axis
        for n, axis in zip(v.shape, axes, strict=True)
    )
    if not fits:
        comma = "," if len(axes) == 1 else ""
        wanted = f"({', '.join(map(str, axes))}{comma})" if axes else "a scalar"
        raise ValueError(f"{name} must be {wanted}, got shape {tuple(v.shape)}")


def floats(name: str, v: Tensor, *axes: str | int) -> None:
    """As `tensor`, and TypeError unless it holds floating-point numbers."""
    tensor(name, v, *axes)
    if not v.is_floating_point():
        raise TypeError(f"{name} is {v.dtype}, must be floating: use {name}.float()")


def like(name: str, x: object, weight: Tensor | None = None) -> None:
    """Raise TypeError unless x is a tensor of floating-point numbers, of the weight's kind."""
    if not isinstance(x, Tensor) or not x.is_floating_point():
        kind = str(x.dtype) if isinstance(x, Tensor) else type(x).__name__
        raise TypeError(f"{name} must be a tensor of floating-point numbers, got {kind}")
    if weight is not None and x.dtype != weight.dtype:
        raise TypeError(f"{name} is {x.dtype}, the layer is {weight.dtype}: convert one of them")
