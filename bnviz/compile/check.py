"""Does a compiled function compute what PyTorch computes, up to rounding?

How far rounding may carry an output is tried, by Monte Carlo arithmetic (Parker, "Monte Carlo
Arithmetic", 1997): PyTorch runs the function again, and all that rounds is off by a random share.
A result is off by as many units as a function of one number may be. Each term of a sum of n is off
by n units, for the sum in any order is the exact one of such terms (Higham, "Accuracy and Stability
of Numerical Algorithms", section 4.2). So whatever amplifies an error, a division by next to
nothing or many layers, amplifies it here too.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from bnviz.compile.instance import Instance
from bnviz.compile.trace import Function
from bnviz.maths.functional import State

__all__ = ["check", "reach"]

_EPS = torch.finfo(torch.float32).eps  # outputs are float32, as all that a page draws
UNITS = 4  # what the least exact function of kernels.c may be off
RUNS = 3
# A unit or a sample within rounding of an edge falls on either side in every other run.
MORE = 32
BOTH = 2  # PyTorch's own numbers are off as well, perhaps to the other side
# How many terms the sums have, of the operations that add up.
_TERMS: dict[str, Callable[..., int]] = {
    **dict.fromkeys(("mm", "bmm", "mv"), lambda out, a, b, *_: a.shape[-1]),
    **dict.fromkeys(("addmm", "addmv", "baddbmm"), lambda out, c, a, *_: a.shape[-1] + 1),
    **dict.fromkeys(("sum", "mean", "dot"), lambda out, x, *_: x.numel() // max(out.numel(), 1)),
    **dict.fromkeys(("var", "std"), lambda out, x, *_: 2 * x.numel() // max(out.numel(), 1)),
    **dict.fromkeys(("cumsum", "_softmax", "_log_softmax"), lambda out, x, axis, *_: x.shape[axis]),
    **dict.fromkeys(
        ("_softmax_backward_data", "_log_softmax_backward_data"),
        lambda out, grad, y, axis, *_: grad.shape[axis],
    ),
    **dict.fromkeys(("scatter_add", "index_add"), lambda out, x, axis, *_: x.shape[axis] + 1),
    "nll_loss_forward": lambda out, x, *_: x.shape[0],
}
# What rounds nothing: an element of the result is one of the arguments, or its sign is another.
_EXACT = {
    *("cat", "stack", "clone", "repeat", "flip", "sort", "where", "_to_copy", "lift_fresh"),
    *("index", "index_select", "gather", "scatter", "relu", "threshold_backward"),
    *("clamp", "clamp_min", "maximum", "minimum", "max", "min", "amax", "amin"),
    *("neg", "abs", "sign", "floor", "ceil", "round"),
    *("zeros", "ones", "full", "zeros_like", "ones_like", "full_like", "arange"),
}


class _Rounding(TorchDispatchMode):
    """All that rounds is off by a random share of itself."""

    def __init__(self, seed: int):
        super().__init__()
        self.generator = torch.Generator().manual_seed(seed)

    def __torch_dispatch__(self, func: Any, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = func._schema.name.removeprefix("aten::")
        if name in _EXACT or any(r.alias_info for r in func._schema.returns):
            return result  # the latter is a view, or changed in place
        if name in _TERMS:
            terms = _TERMS[name](result, *args)
            result = func(*(self._off(a, terms) for a in args), **kwargs)
        if isinstance(result, (tuple, list)):
            return type(result)(self._off(r, UNITS) for r in result)
        return self._off(result, UNITS)

    def _off(self, x: Any, units: int) -> Any:
        if not isinstance(x, Tensor) or not x.is_floating_point():
            return x
        share = 2 * torch.rand(x.shape, generator=self.generator, dtype=x.dtype) - 1
        moved = x * (1 + torch.finfo(x.dtype).eps * units * share)
        # whole numbers have come about without rounding, and may be indices
        return torch.where(x == x.round(), x, moved)


def reach(function: Function, runs: int = RUNS) -> dict[str, float]:
    """How far each output may be from PyTorch's by rounding alone."""
    arguments = tuple(function.arguments.values())
    wanted = function.call(*arguments)
    # an output rounds itself, too, also one that is a constant here
    found = {name: UNITS * _EPS * _largest(value) for name, value in wanted.items()}
    for seed in range(runs):
        with _Rounding(seed):
            moved = function.call(*arguments)
        for name, value in wanted.items():
            found[name] = max(found[name], BOTH * _largest(moved[name] - value))
    return found


def _largest(x: Tensor) -> float:
    """Of all that is finite."""
    return x.abs().nan_to_num(0, 0, 0).max().item() if x.numel() else 0.0


@torch.no_grad()
def check(function: Function, instance: Instance) -> None:
    """Compare a compiled function with PyTorch, for its example arguments.

    Raises:
        RuntimeError: an output is further away than rounding carries it.
    """
    wanted = function.call(*function.arguments.values())
    found = instance(function.name, **function.arguments)
    limits = reach(function)
    if _beyond(wanted, found, limits):
        limits = reach(function, MORE)
    for name in _beyond(wanted, found, limits):
        raise RuntimeError(
            f"{function.name} as compiled computes another {name} than PyTorch (largest difference "
            f"{_largest(found[name] - wanted[name]):.1e}, by rounding at most {limits[name]:.1e}): "
            "write the function with plainer tensor operations"
        )


def _beyond(wanted: State, found: State, limits: dict[str, float]) -> list[str]:
    """The outputs that differ by more than their limit."""
    return [
        name
        for name, value in wanted.items()
        if not torch.allclose(found[name], value, rtol=0, atol=limits[name], equal_nan=True)
    ]
