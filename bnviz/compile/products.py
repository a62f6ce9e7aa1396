"""Products of matrices, which `kernels.c` keeps in registers block by block."""

from bnviz.compile.kernels import called
from bnviz.compile.operations import Context, operation
from bnviz.compile.values import Lazy, Value, View, mapped

__all__ = ["product", "product_and_sum"]


@operation("mm", "bmm")
def product(ctx: Context, a, b) -> Value:
    """a b, or many of them."""
    return _product(ctx, ctx.value(a), ctx.value(b))


@operation("addmm")
def product_and_sum(ctx: Context, c, a, b) -> Value:
    """c + a b."""
    x = _product(ctx, ctx.value(a), ctx.value(b))
    y = ctx.spread(ctx.value(c), x.shape)
    return mapped("({0} + {1})", x.dtype, x.shape, [x, y], 1)


def _product(ctx: Context, a: Value, b: Value) -> View:
    """(.., n, k) times (.., k, m): rows of b or of its transpose lie in one piece."""
    x, y = ctx.program.store(a), ctx.program.store(b)
    if not _runs(y, -1) and not (_runs(y, -2) and _runs(x, -1)):
        y = ctx.program.packed(Lazy(y.shape, y.dtype, y.at, 1))
    target = ctx.program.new(ctx.shape, a.dtype)
    function = "product" if _runs(y, -1) else "product_turned"
    many = x.shape[0].code() if len(x.shape) == 3 else "1"
    steps = [_stride(v, 0) if len(v.shape) == 3 else "0" for v in (x, y, target)]
    sizes = (*x.shape[-2:], y.shape[-1])
    left = ["{0}", _stride(x, -2), _stride(x, -1)]
    right = ["{1}", _stride(y, -2 if function == "product" else -1), "{2}"]
    form = called(ctx, function, x, many, *steps, *sizes, *left, *right)
    ctx.program.call(form, [x, y], [target])
    return target


def _runs(view: View, axis: int) -> bool:
    """Do neighbours along this axis lie side by side?"""
    return view.shape[axis].fixed == 1 or view.strides[axis].fixed == 1


def _stride(view: View, axis: int) -> str:
    return view.strides[axis].code() if view.shape[axis].fixed != 1 else "0"
