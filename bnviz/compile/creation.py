"""Operations that make an array of numbers, or hand one on as it is."""

from bnviz.compile import expressions as ex
from bnviz.compile.expressions import Place
from bnviz.compile.operations import Context, operation
from bnviz.compile.sizes import Size, size_of
from bnviz.compile.values import Index, Lazy, Value, converted

__all__ = ["arange", "filled", "length", "same", "to_format"]


@operation("full", "full_like")
def filled(ctx: Context, _shape, value, **_) -> Value:
    """One number everywhere."""
    x = ctx.value(value, ctx.dtype)
    return Lazy(ctx.shape, ctx.dtype, lambda _: ex.cast(x.at(()), ctx.dtype))


@operation("scalar_tensor")
def scalar(ctx: Context, value, **_) -> Value:
    """A number without axes."""
    return filled(ctx, (), value)


@operation("arange")
def arange(ctx: Context, start, end=None, step=1, **_) -> Value:
    """start, start + step, ... before end; with one argument, that is the end."""
    if end is None:
        start = 0

    def element(index: Index):
        if isinstance(start, float) or isinstance(step, float):
            number = ex.cast(ex.value(index[0]), ctx.dtype)
            first, by = (ex.constant(v, ctx.dtype) for v in (start, step))
            return ex.make("({0} + {1} * {2})", ctx.dtype, first, number, by)
        return ex.cast(ex.value(Place(ctx.size(start)) + index[0] * step), ctx.dtype)

    return Lazy(ctx.shape, ctx.dtype, element)


@operation("sym_size", "sym_numel")
def length(ctx: Context, *_) -> Size:
    """How long an axis is, or how many elements there are."""
    return size_of(ctx.node.meta["val"])


@operation("lift_fresh_copy", "alias", "detach", "clone")
def same(ctx: Context, x, **_) -> Value:
    """x itself: nothing that is compiled changes an array in place."""
    return ctx.value(x)


@operation("_to_copy")
def to_format(ctx: Context, x, **_) -> Value:
    """x in another format."""
    return converted(ctx.value(x), ctx.dtype)
