"""Sums and their like: all elements along some axes become one."""

from collections.abc import Sequence

from bnviz.compile.expressions import C_TYPE
from bnviz.compile.operations import CHEAP, Context, operation
from bnviz.compile.reshaping import reshaped
from bnviz.compile.sizes import product, size_of
from bnviz.compile.values import Value, converted, mapped, spread

__all__ = ["FOLDS", "extreme", "fold", "mean", "variance"]

FOLDS = {"sum": "+", "prod": "*", "any": "|"}
FOLDS |= {"amax": "max", "max": "max", "amin": "min", "min": "min"}


@operation("max", "min")
def extreme(ctx: Context, x) -> Value:
    """The largest or smallest of all; along an axis it would be two results."""
    return fold(ctx, x)


@operation(*FOLDS.keys() - {"max", "min"})
def fold(ctx: Context, x, axes=None, *_, **_more) -> Value:
    """All along these axes, or along all, with one operator."""
    return _folded(ctx, ctx.value(x), axes)


def _folded(ctx: Context, v: Value, axes, finish: str = "{0}") -> Value:
    v = converted(v, ctx.dtype)
    axes, operator = _axes(axes, len(v.shape)), FOLDS.get(ctx.name, "+")
    total = ctx.program.reduce(v, axes, operator, ctx.dtype, finish)
    return reshaped(ctx.program, total, ctx.shape)


def _axes(axes: int | Sequence[int] | None, rank: int) -> list[int]:
    """As numbers from 0 on; none given, or none in the list, means all."""
    axes = [axes] if isinstance(axes, int) else axes
    return sorted(a % rank for a in axes) if axes else list(range(rank))


@operation("mean")
def mean(ctx: Context, x, axes=None, *_, **_more) -> Value:
    """The sum, divided by the number of terms."""
    v = ctx.value(x)
    n = product(v.shape[a] for a in _axes(axes, len(v.shape)))
    return _folded(ctx, v, axes, f"{{0}} / ({C_TYPE[ctx.dtype]})({n.code()})")


@operation("var")
def variance(ctx: Context, x, axes=None, *, correction=1, keepdim=False) -> Value:
    """The squares of what is left without the mean, summed up; divided by n - correction."""
    v, program = ctx.value(x), ctx.program
    dtype, axes = v.dtype, _axes(axes, len(v.shape))
    n, c = product(v.shape[a] for a in axes), C_TYPE[dtype]
    v = program.store(v) if v.cost > CHEAP else v
    middle = program.reduce(v, axes, "+", dtype, f"{{0}} / ({c})({n.code()})")
    kept = tuple(size_of(1) if k in axes else size for k, size in enumerate(v.shape))
    wide = spread(reshaped(program, middle, kept), v.shape)
    gap = mapped("({0} - {1})", dtype, v.shape, [v, wide], 1)
    square = mapped("({0} * {1})", dtype, v.shape, [gap, gap], 1)
    divided = f"{{0}} / ({c})({n.code()} - {correction})"
    total = program.reduce(square, axes, "+", dtype, divided)
    return reshaped(program, total, ctx.shape)
