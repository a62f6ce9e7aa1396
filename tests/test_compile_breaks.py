"""bnviz.compile: a compiler with a mistake in it is found out by comparing with PyTorch.

Each break is one that a hand might make. The comparison succeeds without it and fails with it.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import torch

from bnviz.compile import build, emit, expressions, figure, lookups, memory, nests, products
from bnviz.compile.expressions import Expression
from bnviz.compile.figure import compile_functions
from bnviz.compile.instance import Instance
from bnviz.compile.nests import Nest
from bnviz.compile.operations import RULES
from bnviz.compile.sizes import Size
from bnviz.compile.trace import Function

Patch = pytest.MonkeyPatch
# as they are without a break
cast, chosen, stride = expressions.cast, nests.chosen, products._stride
X = torch.tensor([[0.25, -1.5, 3.0], [2.0, 0.0, -0.75], [-4.0, 1.0, 0.5], [8.0, -2.0, 1.25]])


@dataclass(frozen=True)
class Break:
    """A mistake, and a function of a figure that shows it."""

    make: Callable[[Patch], object]
    call: Callable[..., torch.Tensor]
    inputs: tuple[torch.Tensor, ...] = (X,)


def _c(old: str, new: str) -> Callable[[Patch], None]:
    """Other C than was emitted."""

    def make(patch: Patch) -> None:
        def compiled(code: str) -> bytes:
            assert old in code
            return build.compiled(code.replace(old, new))

        patch.setattr(figure, "compiled", compiled)

    return make


def _rule(name: str, wrong: Callable) -> Callable[[Patch], None]:
    """Another rule for an operation, which is given the right one."""
    right = RULES[name]
    return lambda patch: patch.setitem(RULES, name, lambda *a, **k: wrong(right, *a, **k))


def _all_at_once(program, first: int, batch: int) -> int:
    """No buffer minds any other."""
    end = first
    for buffer in {b for k in program.kernels for b in (*k.reads(), *k.writes())}:
        if buffer.kind == "temporary":
            buffer.at = first
            end = max(end, first + memory.bytes_of(buffer, batch))
    return end


def _same_loops(nest: Nest, other: Nest) -> bool:
    """Whatever it reads."""
    return list(nest.extents.items()) == list(other.extents.items()) and not nest.sums


def _one_row_less(patch: Patch) -> None:
    right = Size.code
    patch.setattr(Size, "code", lambda size: right(size).replace("B", "(B - 1)"))


def _uncast(x: Expression, dtype: torch.dtype) -> Expression:
    """A whole number stays one."""
    return x if not x.dtype.is_floating_point else cast(x, dtype)


def _shortened(name: str, data: torch.Tensor) -> str:
    return f"static const float {name}[] = {{{','.join(f'{float(v):.3f}f' for v in data)}}};"


def _by_place(found: Expression) -> Expression:
    """Elements at the same place of two arrays are one."""
    key = (found.form, tuple(map(id, found.args)), found.dtype, str(found.place))
    return expressions._known.setdefault(key, found)


BREAKS = {
    "a view with the strides of another order": Break(
        _rule("permute", lambda right, ctx, x, axes: right(ctx, x, axes[::-1])),
        lambda x: x.reshape(2, 2, 3).permute(1, 0, 2) + 0,
    ),
    "a flipped axis that begins at its beginning": Break(
        _rule("flip", lambda right, ctx, x, _: ctx.value(x)), lambda x: x.flip(0) + x
    ),
    "a negative index that leaves its array": Break(
        lambda patch: patch.setattr(lookups, "_inside", lambda i, _: expressions.at_value(i)),
        lambda x: x[1:][torch.tensor([-1, 0])] + 0,
    ),
    "sums that start at 1": Break(
        lambda patch: patch.setitem(nests._START, "+", "1"), lambda x: x.sum(1)
    ),
    "NaN lost in a maximum": Break(
        lambda patch: patch.setitem(nests._FOLD, "max", "{s} = {x} > {s} ? {x} : {s};"),
        lambda x: (x / x).amax(0),
    ),
    "loops merged although the later ones read what is not there yet": Break(
        lambda patch: patch.setattr(Nest, "takes", _same_loops),
        lambda x: ((y := x * 2 + 1) + y.flip(0)) * y.flip(1),
    ),
    "arrays that share memory while both are wanted": Break(
        lambda patch: patch.setattr(memory, "plan", _all_at_once),
        lambda x: (x @ x.T) @ (x * 2 @ x.T),
    ),
    "two arrays taken for one": Break(
        lambda patch: patch.setattr(expressions, "_unique", _by_place),
        lambda x, y: x - y,
        (X, X + 1),
    ),
    "the other branch of a choice": Break(
        lambda patch: patch.setattr(
            nests, "chosen", lambda x, c, holds, memo: chosen(x, c, not holds, memo)
        ),
        lambda x, which: torch.where(which[0] > 0, x.exp() * 0, x.tanh() * 0 + 1),
        (X, torch.tensor([1.0])),
    ),
    "a product with its strides the other way round": Break(
        lambda patch: patch.setattr(products, "_stride", lambda v, axis: stride(v, -3 - axis)),
        lambda x: x[:3].T @ x[:3],
    ),
    "a minibatch without its last row": Break(
        _one_row_less, lambda rows: rows * 2, (torch.arange(23),)
    ),
    "whole numbers that are never made fractions": Break(
        lambda patch: patch.setattr(expressions, "cast", _uncast),
        lambda k: k / (k + 2),
        (torch.tensor([1, 2, 3]),),
    ),
    "a number without its last decimals": Break(
        lambda patch: patch.setattr(expressions, "_literal", lambda x, _: f"{x:.4f}f"),
        lambda x: x * 0.123456789,
    ),
    "a table without its last decimals": Break(
        lambda patch: patch.setattr(emit, "_declared", _shortened),
        lambda x: x + torch.tensor([1 / 3, 2 / 3, 1.0]),
    ),
    "whole numbers whose overflow is undefined": Break(
        lambda patch: patch.setattr(
            build, "_FLAGS", tuple(f for f in build._FLAGS if f != "-fwrapv")
        ),
        lambda k: (k * 2**44) >> 3,
        (torch.tensor([2**21, 5]),),
    ),
    "a remainder with the sign of the other": Break(
        _c("? r + b : r", "? r : r"), lambda x: torch.remainder(x, 1.75)
    ),
    "softmax without the largest taken off": Break(
        _c("y[j] = x[j] - top;", "y[j] = x[j];"), lambda x: (x * 100).softmax(1)
    ),
    "put instead of added": Break(
        _c("PUT(float_scatter_add, float, +=)", "PUT(float_scatter_add, float, =)"),
        lambda x: torch.zeros(2).index_add(0, torch.tensor([0, 0, 1, 1]), x[:, 0]),
    ),
    "a sort without its last comparisons": Break(
        _c("for (int k = p; k >= 1; k /= 2)", "for (int k = p; k > 1; k /= 2)"),
        lambda x: x.sort(0).values,
    ),
}


def function_of(name: str) -> Function:
    broken = BREAKS[name]
    names = inspect.signature(broken.call).parameters
    inputs = dict(zip(names, broken.inputs, strict=True))
    return Function(name.replace(" ", "_"), lambda *given: {"y": broken.call(*given)}, inputs)


def agrees(instance: Instance, function: Function) -> bool:
    """Does the compiled function give PyTorch's numbers?"""
    found = instance(function.name, **function.arguments)["y"].double()
    wanted = function.call(*function.arguments.values())["y"].double()
    return torch.allclose(found, wanted, rtol=1e-6, atol=1e-6, equal_nan=True)


def test_without_a_mistake_all_is_right():
    functions = [function_of(name) for name in BREAKS]
    instance = Instance(compile_functions(functions, (2, 32)))
    assert all(agrees(instance, function) for function in functions)


@pytest.mark.parametrize("name", BREAKS)
def test_a_mistake_in_the_compiler_is_noticed(name, monkeypatch):
    BREAKS[name].make(monkeypatch)
    function = function_of(name)
    assert not agrees(Instance(compile_functions([function], (2, 32))), function)
