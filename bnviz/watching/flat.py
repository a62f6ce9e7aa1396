"""Where an activation function is flat, found by looking at it.

Flat means: the slope is below 10 % of the largest one, the rule of `maths/measures.saturated`. The
slopes come from autograd on a grid, so that any elementwise activation will do, also one that the
reader wrote.
"""

import math
from functools import cache

import torch
from torch import Tensor, nn

__all__ = ["Interval", "flat_intervals", "is_activation", "share_within", "units_within"]

Interval = tuple[float, float]

_REACH, _POINTS = 16.0, 12801  # the grid: -16 to 16 in steps of 0.0025
_FLAT = 0.1  # of the largest slope
_ELEMENTWISE = tuple(
    getattr(nn, name)
    for name in (
        "CELU", "ELU", "GELU", "Hardshrink", "Hardsigmoid", "Hardswish", "Hardtanh", "LeakyReLU",
        "LogSigmoid", "Mish", "ReLU", "ReLU6", "SELU", "SiLU", "Sigmoid", "Softplus", "Softshrink",
        "Softsign", "Tanh", "Tanhshrink", "Threshold",
    )
)  # fmt: skip
_OTHERS = (nn.PReLU, nn.RReLU)  # activations, but learned or drawn: nothing is said of flat parts


def is_activation(module: nn.Module) -> bool:
    """Whether a module is an activation of PyTorch, or a subclass of one."""
    return isinstance(module, (*_ELEMENTWISE, *_OTHERS))


def flat_intervals(module: nn.Module) -> tuple[Interval, ...]:
    """The intervals in which an elementwise activation is flat; ends may be infinite.

    None at all for an activation that is learned or random, and for a module that is none.

    >>> [(round(a, 1), round(b, 1)) for a, b in flat_intervals(nn.Sigmoid())]
    [(-inf, -3.6), (3.6, inf)]
    >>> flat_intervals(nn.ReLU())
    ((-inf, 0.0),)
    """
    if not isinstance(module, _ELEMENTWISE):
        return ()
    return _intervals(module.__class__, module.extra_repr(), module)


# What a module does follows from its class and its arguments, which are its `extra_repr`.
_known: dict[tuple[type, str], tuple[Interval, ...]] = {}


def _intervals(kind: type, arguments: str, module: nn.Module) -> tuple[Interval, ...]:
    if (kind, arguments) not in _known:
        _known[kind, arguments] = _search(module)
    return _known[kind, arguments]


@cache
def _grid() -> Tensor:
    return torch.linspace(-_REACH, _REACH, _POINTS, dtype=torch.float64)


def _search(module: nn.Module) -> tuple[Interval, ...]:
    with torch.enable_grad():
        at = _grid().clone().requires_grad_()
        # the class's own function: the module may carry hooks, those of a recorder among them
        (slope,) = torch.autograd.grad(type(module).forward(module, at.clone()).sum(), at)
    flat = (slope.abs() < _FLAT * slope.abs().max()).tolist()
    grid, found = _grid().tolist(), list[Interval]()
    begin: int | None = None
    for k, is_flat in enumerate([*flat, False]):
        if is_flat and begin is None:
            begin = k
        if not is_flat and begin is not None:
            low = -math.inf if begin == 0 else grid[begin]
            high = math.inf if k == len(grid) else grid[k - 1]
            if high - low > 0.1:  # the turning point of GELU, a few grid points wide, is no region
                found.append((low, high))
            begin = None
    return tuple(found)


def share_within(v: Tensor, intervals: tuple[Interval, ...]) -> float:
    """Share of values in one of the intervals; NaN lies in none.

    >>> share_within(torch.tensor([-5.0, 1.0]), ((-math.inf, 0.0),))
    0.5
    """
    inside = torch.zeros_like(v, dtype=torch.bool)
    for low, high in intervals:
        inside |= (v >= low) & (v <= high)
    return inside.float().mean().item()


def units_within(low: Tensor, high: Tensor, intervals: tuple[Interval, ...]) -> Tensor:
    """Which units have all of their values, from `low` to `high`, in one of the intervals.

    Args:
        low, high: smallest and largest value of each unit, (units,).

    Returns:
        (units,) of bool.
    """
    inside = torch.zeros_like(low, dtype=torch.bool)
    for a, b in intervals:
        inside |= (low >= a) & (high <= b)
    return inside
