"""Is this gradient right? Compare it with central differences, which need no calculus.

Nudge one value of x by h to each side and see how far the result moves:

    df/dx[i] = (f(x + h e_i) - f(x - h e_i)) / (2 h) + O(h^2)

A small h makes the O(h^2) term small but loses digits, about 1e-16 |f| / h of them in float64;
h = 1e-5 balances the two where x and f are of order 1. All is computed in float64.

Textbook: W. H. Press et al., "Numerical Recipes", section "Numerical Derivatives".
"""

from collections.abc import Callable
from numbers import Real

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = ["check", "numerical_gradient", "relative_error"]

Array = NDArray[np.float64]
Function = Callable[[Array], ArrayLike]


def numerical_gradient(
    f: Function, x: ArrayLike, h: float = 1e-5, dy: Array | None = None
) -> Array:
    """Return d(loss)/dx by central differences, shape of x, float64; 2 calls of f per value of x.

    loss = f(x) for a scalar f, or loss = sum dy * f(x) for the upstream gradient dy, shape of f(x).
    f gets a float64 copy of x, so it may change it; x itself stays as it is.
    Raises TypeError (x not floating) or ValueError (h <= 0, h lost beside x, f(x) not a scalar
    or not the shape of dy, any value not finite).

    >>> numerical_gradient(lambda x: (x**2).sum(), np.array([1.0, -3.0])).round(6)
    array([ 2., -6.])
    """
    x = np.asarray(x)
    if not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"x is {x.dtype}, must be floating: use x.astype(np.float64)")
    if not isinstance(h, Real) or not 0 < h < np.inf:
        raise ValueError(f"h = {h!r} must be a finite number above 0: use e.g. 1e-5")
    x = x.astype(np.float64)
    gradient = np.empty_like(x)
    for i in np.ndindex(x.shape):
        if not np.isfinite(x[i]):
            raise ValueError(f"x{list(i)} = {x[i]}, must be finite: look for an overflow or 0 / 0")
        up, down = x.copy(), x.copy()
        up[i] += h
        down[i] -= h
        step = up[i] - down[i]  # not quite 2 h: x + h was rounded
        if not step > 0:
            raise ValueError(f"h = {h} is lost beside x{list(i)} = {x[i]}: use a larger h")
        moved = _output(f, up, dy) - _output(f, down, dy)
        gradient[i] = (moved if dy is None else moved * dy).sum() / step
    return gradient


def relative_error(a: ArrayLike, b: ArrayLike, floor: float = 0.0) -> float:
    """Return max |a - b| / max(|a|, |b|, floor), over all values: 0 means equal, 2 opposite.

    One scale for the whole array, so that a value near 0 among large ones does no harm.
    If all of a and b may be 0 up to rounding, set `floor` to the size that counts as something.
    Raises ValueError if the shapes differ or are empty, or a value is not finite; TypeError for
    complex values, whose parts are two checks.

    >>> relative_error([1.0, 2.0], [1.0, 1.5])
    0.25
    """
    a, b = _real("a", a), _real("b", b)
    if a.shape != b.shape or a.size == 0:
        raise ValueError(f"shapes {a.shape} and {b.shape} must be equal and not empty: reshape one")
    for name, value in (("a", a), ("b", b)):
        if not np.isfinite(value).all():
            raise ValueError(f"{name} = {value} must be finite: look for an overflow or 0 / 0")
    scale = max(np.abs(a).max(), np.abs(b).max(), floor)
    return float(np.abs(a - b).max() / scale) if scale > 0 else 0.0


def check(
    f: Function,
    x: ArrayLike,
    gradient: ArrayLike,
    dy: Array | None = None,
    *,
    h: float = 1e-5,
    tolerance: float = 1e-6,
    floor: float = 0.0,
) -> float:
    """Return the relative error of `gradient`, your d(loss)/dx, against central differences.

    Arguments and errors are those of `numerical_gradient` and `relative_error`.
    Raises AssertionError above the tolerance, with the place and both values: the gradient is wrong
    (or f has a kink within h of x, as ReLU has at 0).
    Raises AssertionError, too, if the check could not fail: with a floor, where the loss does not
    move with x although f does. So it is for the sum of what Batch Normalization gives, as shifting
    or stretching x changes nothing in it: a dx that forgets the statistics passes as well. Of a
    scalar f nobody can tell, and a loss that does not move is refused. Take random numbers for dy.

    >>> x = np.array([0.5, 2.0])
    >>> check(lambda x: np.exp(x).sum(), x, np.exp(x)) < 1e-9
    True
    >>> check(lambda x: np.exp(x).sum(), x, x)
    Traceback (most recent call last):
    AssertionError: relative error 0.73 > 1e-06; at [1] the gradient is 2, differences give 7.38906
    """
    numerical = numerical_gradient(f, x, h, dy)
    error = relative_error(gradient, numerical, floor)
    hint = "" if error <= tolerance and floor == 0 else _blindness(f, x, numerical, h, dy)
    if hint and error <= tolerance:
        raise AssertionError(f"nothing was checked: {hint}")
    if not error <= tolerance:
        gradient = np.asarray(gradient)
        at = np.unravel_index(np.abs(gradient - numerical).argmax(), numerical.shape)
        place, mine, theirs = [int(i) for i in at], gradient[at], numerical[at]
        raise AssertionError(
            f"relative error {error:.2g} > {tolerance}; "
            f"at {place} the gradient is {mine:.6g}, differences give {theirs:.6g}"
            + (f"; {hint}" if hint else "")
        )
    return error


def _blindness(f: Function, x: ArrayLike, numerical: Array, h: float, dy: Array | None) -> str:
    """Why a gradient of 0 says nothing about f; "" if it is none, or f itself does not move."""
    x = np.asarray(x).astype(np.float64)
    y = _output(f, x.copy(), dy)

    def still(gradient: Array, upstream: Array | float) -> bool:
        """Whether differences are rounding: the terms of f lose some digits, divided by 2 h."""
        size = max(np.abs(y * upstream).sum(), 1.0)  # of a sum that cancels, nobody knows the terms
        return bool(np.abs(gradient).max() <= 64 * np.finfo(np.float64).eps * size / h)

    if not still(numerical, 1.0 if dy is None else dy):
        return ""
    if dy is not None:
        other = np.random.default_rng(0).standard_normal(y.shape)
        if still(numerical_gradient(f, x, h, other), other):
            return ""
    return (
        "differences are 0 up to rounding, as they are for the sum of what Batch Normalization "
        "gives: such a loss tells no gradient from another. Pass f without the sum, and random "
        "numbers for dy"
    )


def _real(name: str, value: ArrayLike) -> Array:
    if np.iscomplexobj(value):
        raise TypeError(f"{name} is complex, must be real: check .real and .imag one by one")
    return np.asarray(value, dtype=np.float64)


def _output(f: Function, x: Array, dy: Array | None) -> Array:
    y = _real("f(x)", f(x))
    if dy is None and y.size != 1:
        raise ValueError(f"f(x) has shape {y.shape}, must be a scalar: pass dy, of that shape, too")
    if dy is not None and y.shape != np.shape(dy):
        raise ValueError(f"dy has shape {np.shape(dy)}, must be {y.shape} as f(x): reshape it")
    if not np.isfinite(y).all() or (dy is not None and not np.isfinite(dy).all()):
        raise ValueError(f"f(x) = {y} and dy = {dy} must be finite near x: choose another x or h")
    return y
