"""Random programs of tensor operations, and how far their results may be from PyTorch's.

Numbers are multiples of 1/16 and small, so sums and products are exact in any order, and what is
compiled must agree to the last bit. What an operation rounds is counted, in `off`: numbers of that
kind are looked at from other sides, but not computed with.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from tests.rounding import limit

__all__ = ["BATCHES", "STEPS", "Program", "Step", "arguments"]

BATCHES = (23, 5, 32, 8)  # rows that a program must fit; the first is that of the trace
GRAIN = 16
LARGEST = 2.0**12  # a product of two is below 2^24 grains, which float32 holds exactly
MOST = 3000  # elements


@dataclass(frozen=True)
class Step:
    """One operation; arguments are picked among the values that there are."""

    kind: str
    a: int
    b: int
    n: int


@dataclass(frozen=True)
class Known:
    """A value, and how far another right computation may be from it; None for not at all."""

    x: Tensor
    off: Tensor | None = None


def _axis(x: Tensor, n: int) -> int:
    """Counted from either end."""
    return (n % x.ndim) - (x.ndim if n % 2 else 0)


def _indices(i: Tensor, length: int) -> Tensor:
    """Any numbers as indices, some counted from the end."""
    i = torch.atleast_1d(i.long())
    return torch.remainder(i, length) - torch.where(i > 0, length, 0)


# --- the same elements elsewhere: what is off moves along ----------------------------------------

VIEWS: dict[str, Callable[[Tensor, int], Tensor]] = {
    "flip": lambda x, n: x.flip(_axis(x, n)),
    "flip all": lambda x, n: x.flip(tuple(range(x.ndim))),
    "transpose": lambda x, n: x.transpose(_axis(x, n), -1),
    "turn": lambda x, n: x.permute(*((k + n) % x.ndim for k in range(x.ndim))),
    "rest": lambda x, n: x[n % 4 :],
    "front": lambda x, n: x[: n % 4],
    "end": lambda x, n: x[..., -(n % 6) :],
    "but the end": lambda x, n: x[: -(n % 3) - 1],
    "steps": lambda x, n: x[n % 3 :: 2 + n % 2],
    "steps of the last": lambda x, n: x[..., n % 2 :: 2],
    "nothing": lambda x, n: x[:0] if n % 2 else x[..., :0],
    "select": lambda x, n: x.select(_axis(x, n), (n % 3) - 1),
    "flat": lambda x, n: x.reshape(-1),
    "in pairs": lambda x, n: x.reshape(2, -1),
    "new axis": lambda x, n: x.unsqueeze(n % (x.ndim + 1)),
    "squeeze": lambda x, n: x.squeeze(),
    "expand": lambda x, n: x.expand(2 + n % 2, *x.shape),
    "expand an axis": lambda x, n: x.unsqueeze(-1).expand(*x.shape, 1 + n % 3),
    "repeat": lambda x, n: x.repeat(*[1 + (n + k) % 2 for k in range(x.ndim)]),
    "repeat in front": lambda x, n: x.repeat(2, *[1] * x.ndim),
    "diagonal": lambda x, n: x.diagonal(n % 3 - 1, 0, -1),
    "twice": lambda x, n: torch.cat([x, x.flip(0)], _axis(x, n)),
    "stack": lambda x, n: torch.stack([x, x], n % (x.ndim + 1)),
    "take": lambda x, n: x[torch.tensor([n % 2, 0, -1])],
    "take along": lambda x, n: x.index_select(_axis(x, n), torch.tensor([1, 0, 1])),
    "take two": lambda x, n: x[torch.tensor([0, 1]), torch.tensor([[n % 2], [0]])],
    "roll": lambda x, n: torch.cat([x[n % 3 :], x[: n % 3]]),
}

# --- exact of one --------------------------------------------------------------------------------

UNARY: dict[str, Callable[[Tensor, int], Tensor]] = {
    "neg": lambda x, n: -x,
    "abs": lambda x, n: x.abs(),
    "relu": lambda x, n: torch.relu(x),
    "floor": lambda x, n: x.floor() if n % 2 else x.ceil(),
    "round": lambda x, n: x.round(),
    "clamp": lambda x, n: x.clamp(-n % 3 - 1, n % 4),
    "clamp from below": lambda x, n: x.clamp_min(n % 3 - 1),
    "square": lambda x, n: x ** (1 + n % 3),
    "to a power": lambda x, n: x.long() ** (n % 6),
    "half": lambda x, n: x * 0.5,
    "double": lambda x, n: x.double(),
    "float": lambda x, n: x.float(),
    "whole": lambda x, n: x.long(),
    "bool": lambda x, n: x.bool(),
    "remainder": lambda x, n: torch.remainder(x, (n % 5) - 2.5 if x.is_floating_point() else -3),
    "floor division": lambda x, n: torch.div(x, (n % 3) * 2 - 3, rounding_mode="floor"),
    "truncated division": lambda x, n: torch.div(x.long(), 3, rounding_mode="trunc"),
    "is nan": lambda x, n: x.isnan(),
    "not": lambda x, n: ~x,
    "shift": lambda x, n: x.long() >> n % 3 if n % 2 else x.long() << n % 3,
    "mask": lambda x, n: x & n,
    "more than": lambda x, n: x > n % 3,
    "equals": lambda x, n: x == n % 3,
    "plus": lambda x, n: x + n,
    "plus a fraction": lambda x, n: n / 4 - x,
    "length": lambda x, n: x * x.shape[0] if n % 2 else x - x.shape[-1],
    "numbered": lambda x, n: x + torch.arange(n, n + x.shape[-1]),
    "like": lambda x, n: torch.full_like(x, n % 2) - torch.ones(x.shape[-1]),
    "sum": lambda x, n: x.sum(_axis(x, n)),
    "sum that stays": lambda x, n: x.sum(_axis(x, n), keepdim=True),
    "sum of two": lambda x, n: x.sum((0, -1)),
    "total": lambda x, n: x.sum(),
    "product": lambda x, n: x.prod(_axis(x, n)),
    "amax": lambda x, n: x.amax(_axis(x, n)),
    "amin of two": lambda x, n: x.amin((0, -1), keepdim=True),
    "largest": lambda x, n: x.max() if n % 2 else x.min(),
    "any": lambda x, n: x.any(_axis(x, n)),
    "argmax": lambda x, n: x.argmax(_axis(x, n), keepdim=bool(n % 2)),
    "argmax of all": lambda x, n: x.argmax(),
    "cumsum": lambda x, n: x.cumsum(_axis(x, n)),
    "sort": lambda x, n: x.float().sort(_axis(x, n)).values,
}

# --- exact of two --------------------------------------------------------------------------------

BINARY: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "add": lambda x, y, n: x + y,
    "add twice": lambda x, y, n: torch.add(x, y, alpha=2),
    "sub": lambda x, y, n: x - y,
    "mul": lambda x, y, n: x * y,
    "minimum": lambda x, y, n: torch.minimum(x, y),
    "maximum": lambda x, y, n: torch.maximum(x, y),
    "where": lambda x, y, n: torch.where(x > n % 3, x, y),
    "where bool": lambda x, y, n: torch.where(y.bool(), x, n % 3),
    "less": lambda x, y, n: x < y,
    "at least": lambda x, y, n: x >= y,
    "equal": lambda x, y, n: x == y,
    "and": lambda x, y, n: x & y,
    "or": lambda x, y, n: x | y,
    "xor": lambda x, y, n: x ^ y,
    "matmul": lambda x, y, n: x @ y,
    "with itself": lambda x, y, n: x @ x.transpose(-1, -2) if n % 2 else x.transpose(-1, -2) @ x,
    "outer": lambda x, y, n: x[..., None] * y.reshape(-1)[:3],
    "cat": lambda x, y, n: torch.cat([x, y], _axis(x, n)),
    "gather": lambda x, y, n: x.gather(n % x.ndim, torch.remainder(y.long(), x.shape[n % x.ndim])),
    "look up": lambda x, y, n: x[_indices(y, x.shape[0])],
    "look up the last": lambda x, y, n: x[..., _indices(y, x.shape[-1])],
    "scatter add": lambda x, y, n: torch.zeros(4, dtype=(y * 1).dtype).scatter_add(
        0, torch.remainder(x.reshape(-1).long(), 4), y.reshape(-1) * 1
    ),
    "scatter": lambda x, y, n: x.scatter(
        -1, torch.remainder(y.long(), x.shape[-1])[..., :1].expand(*x.shape[:-1], 1), 1 + n % 3
    ),
    "put": lambda x, y, n: (x * 1).index_put(
        (_indices(y.reshape(-1)[:2], x.shape[0]),), x[:1] * 1, accumulate=True
    ),
}

# --- what rounds: f(x), and by how many eps of itself -------------------------------------------
# The error in kernels.c and PyTorch's own: 1 unit for what SLEEF computes, as much as ours for a
# sigmoid or an inverse root.

FUNCTIONS: dict[str, tuple[Callable[[Tensor], Tensor], int]] = {
    "exp": (lambda x: (-x.abs()).exp(), 3),
    "log": (lambda x: (x.abs() + 2).log(), 3),
    "tanh": (torch.tanh, 4),
    "sigmoid": (torch.sigmoid, 8),
    "sqrt": (lambda x: x.abs().sqrt(), 1),
    "rsqrt": (lambda x: (x.abs() + 0.25).rsqrt(), 3),
    "cos": (torch.cos, 2),
    "third": (lambda x: x / 3, 1),
    "reciprocal": (lambda x: 1 / (x.abs() + 1), 1),
    "root": (lambda x: (x.abs() + 1) ** 0.3, 2),
}


def _eps(y: Tensor) -> float:
    return limit(y.dtype, 1)


def _mean(x: Tensor, n: int) -> Known:
    axis = _axis(x, n)
    y = x.mean(axis)
    return Known(y, _eps(y) * x.shape[axis] * x.abs().mean(axis).double())


def _var(x: Tensor, n: int) -> Known:
    """Each square is off by some units, the mean by as many as it has terms."""
    axis = _axis(x, n)
    terms = x.shape[axis]
    if terms <= n % 2 or not x.numel():
        raise ValueError("nothing to divide by")
    y = x.var(axis, correction=n % 2)
    reach = (x.abs() + x.abs().amax(axis, keepdim=True)).double() ** 2
    return Known(y, _eps(y) * 4 * terms * reach.sum(axis) / (terms - n % 2))


def _softmax(x: Tensor, n: int) -> Known:
    axis = _axis(x, n)
    y = x.softmax(axis)
    return Known(y, _eps(y) * (8 + x.shape[axis]) * y.double())


def _log_softmax(x: Tensor, n: int) -> Known:
    axis = _axis(x, n)
    y = x.log_softmax(axis)
    return Known(y, _eps(y) * (8 + x.shape[axis] + 2 * y.abs().double()))


ROUNDING = {"mean": _mean, "var": _var, "softmax": _softmax, "log_softmax": _log_softmax}
KINDS = [*VIEWS, *UNARY, *BINARY, *FUNCTIONS, *ROUNDING]
STEPS = st.lists(
    st.builds(Step, st.sampled_from(KINDS), *(st.integers(0, 11) for _ in range(3))),
    min_size=8,
    max_size=16,
)


class _Unfit(Exception):
    """The step cannot be taken here, or nobody knows how exact it is."""


def _take(step: Step, known: list[Known]) -> Known:
    """The next value."""
    a, b = known[step.a % len(known)], known[step.b % len(known)]
    if step.kind in VIEWS:
        off = None if a.off is None else VIEWS[step.kind](a.off, step.n)
        return Known(VIEWS[step.kind](a.x, step.n), off)
    if a.off is not None or (step.kind in BINARY and b.off is not None):
        raise _Unfit
    if step.kind in FUNCTIONS:
        function, units = FUNCTIONS[step.kind]
        y = function(a.x)
        return Known(y, _eps(y) * units * y.abs().double())
    if step.kind in ROUNDING:
        return ROUNDING[step.kind](a.x, step.n)
    if step.kind in UNARY:
        return Known(UNARY[step.kind](a.x, step.n))
    return Known(BINARY[step.kind](a.x, b.x, step.n))


_WHOLE = {
    "whole",
    "shift",
    "to a power",
    "truncated division",
    "gather",
    "look up",
    "look up the last",
}
_WHOLE |= {"scatter", "scatter add", "put", "floor division", "remainder"}
_ADDING = {"sum", "sum that stays", "sum of two", "total", "product", "cumsum", "matmul"}
_ADDING |= {"with itself", "scatter add", "put"}
_PRODUCTS = {"matmul", "with itself"}


def _tried(step: Step, known: list[Known]) -> Known:
    """The next value, if it is exact, or known how far it is off."""
    a, b = known[step.a % len(known)].x, known[step.b % len(known)].x
    finite = all(bool(v.isfinite().all()) for v in (a, b) if v.is_floating_point())
    if step.kind in _WHOLE | set(FUNCTIONS) | set(ROUNDING) and not finite:
        raise _Unfit  # what becomes of them is nowhere written
    if step.kind in ("gather", "scatter") and a.ndim != b.ndim:
        raise _Unfit
    if step.kind in _PRODUCTS and not (a.is_floating_point() and a.dtype == b.dtype):
        raise _Unfit  # the compiler multiplies no matrices of whole numbers, and says so
    try:
        found = _take(step, known)
        if step.kind in _ADDING:  # no order of adding may leave what is exact
            absolute = [replace(k, x=k.x if k.x.dtype == torch.bool else k.x.abs()) for k in known]
            _bounded(_take(step, absolute).x)
    except (RuntimeError, IndexError, ValueError, TypeError, ZeroDivisionError):
        raise _Unfit from None
    if found.x.numel() > MOST or found.x.ndim > 4:
        raise _Unfit
    if found.off is None:
        _bounded(found.x)
    return found


def _bounded(x: Tensor) -> None:
    """Raise unless it is a small multiple of 1 / GRAIN."""
    x = x.double()
    x = x[x.isfinite()] * GRAIN
    if x.numel() and not (x.abs().max() < LARGEST * GRAIN and (x == x.round()).all()):
        raise _Unfit


def _one_size_in_all(shapes: list[torch.Size]) -> bool:
    """Is every length the same polynomial in the number of rows, with whole coefficients?"""
    if len({len(s) for s in shapes}) > 1:
        return False
    for lengths in zip(*shapes, strict=True):
        fit = np.polyfit(BATCHES[:3], lengths[:3], 2)
        whole = np.round(fit)
        if np.abs(fit - whole).max() > 1e-6 or np.polyval(whole, BATCHES[3]) != lengths[3]:
            return False
    return True


class Program:
    """Some steps, as far as they fit, whatever the number of rows.

    Args:
        steps: candidates.
    """

    def __init__(self, steps: list[Step]):
        self.steps: list[Step] = []
        worlds = [[Known(v) for v in arguments(m).values()] for m in BATCHES]
        for step in steps:
            for k in range(8):  # arguments that do not fit give way to their neighbours
                if self._took(replace(step, a=step.a + k // 4, b=step.b + k), worlds):
                    break

    def _took(self, step: Step, worlds: list[list[Known]]) -> bool:
        try:
            found = [_tried(step, known) for known in worlds]
        except _Unfit:
            return False
        if not _one_size_in_all([f.x.shape for f in found]):
            return False
        self.steps.append(step)
        for known, value in zip(worlds, found, strict=True):
            known.append(value)
        return True

    def run(self, *given: Tensor) -> list[Known]:
        """The values that no later step uses."""
        known, used = [Known(v) for v in given], set(range(len(given)))
        for step in self.steps:
            used.add(step.a % len(known))
            used |= {step.b % len(known)} if step.kind in BINARY else set()
            known.append(_take(step, known))
        return [v for k, v in enumerate(known) if k not in used]

    def __call__(self, *given: Tensor) -> dict[str, Tensor]:
        return {f"y{k}": v.x for k, v in enumerate(self.run(*given))}


def arguments(rows: int) -> dict[str, Tensor]:
    """What every program is given, for so many rows."""
    x = torch.arange(15.0).reshape(5, 3) * 0.25 - 2
    return {
        "x": x,
        "w": torch.tensor([1.0, -0.5, 2.0]),
        "odd": torch.tensor([[torch.inf, 0.0, torch.nan], [-torch.inf, 0.5, -1.0]]),
        "d": (x[:, :2] + 0.125).double(),
        "k": torch.tensor([[3, -1, 4], [1, -5, 9]]),
        "mask": torch.tensor([True, False, True]),
        "rows": torch.arange(rows) * 3 % 7,
    }
