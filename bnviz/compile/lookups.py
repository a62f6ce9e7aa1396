"""Operations in which one array says where in another to read, or to write."""

import itertools

import torch

from bnviz.compile import expressions as ex
from bnviz.compile.expressions import Place
from bnviz.compile.kernels import called
from bnviz.compile.operations import Context, operation
from bnviz.compile.sizes import Size, product
from bnviz.compile.values import Index, Lazy, Value, spread

__all__ = ["gather", "index", "index_put", "index_select", "scatter", "scatter_add"]


def _inside(index: ex.Expression, size: Size) -> Place:
    """A looked-up index as a place; a negative one counts from the end."""
    form = f"({{0}} < 0 ? {{0}} + ({size.code()}) : {{0}})"
    return ex.at_value(ex.make(form, index.dtype, index))


# --- reading -------------------------------------------------------------------------------------


@operation("index")
def index(ctx: Context, x, which) -> Value:
    """x[.., which, ..]: one array of indices for each of some axes side by side."""
    v = ctx.value(x)
    places = [k for k, w in enumerate(which) if w is not None]
    if any(b - a != 1 for a, b in itertools.pairwise(places)):
        raise ctx.refused()
    lookups = [ctx.program.store(ctx.value(which[k])) for k in places]
    if any(w.dtype == torch.bool for w in lookups):
        raise ctx.refused("a shape that depends on data; use torch.where")
    wide = max(len(w.shape) for w in lookups)
    first = places[0]
    own = ctx.shape[first : first + wide]

    def element(index: Index):
        at = index[first : first + wide]
        found = []
        for k, w in zip(places, lookups, strict=True):
            found.append(_inside(spread(w, own).at(at), v.shape[k]))
        return v.at([*index[:first], *found, *index[first + wide :]])

    return Lazy(ctx.shape, v.dtype, element, v.cost + 1)


@operation("index_select")
def index_select(ctx: Context, x, axis, which) -> Value:
    """Some of an axis, in the order of a vector of indices."""
    v, w = ctx.value(x), ctx.program.store(ctx.value(which))
    axis %= len(v.shape)

    def element(index: Index):
        place = _inside(w.at([index[axis]]), v.shape[axis])
        return v.at([*index[:axis], place, *index[axis + 1 :]])

    return Lazy(ctx.shape, v.dtype, element, v.cost + 1)


@operation("gather")
def gather(ctx: Context, x, axis, which, *, sparse_grad=False) -> Value:
    """x[i, which[i, j]] for axis 1 of two: an index of its own for every element."""
    v, w = ctx.program.store(ctx.value(x)), ctx.value(which)
    if len(v.shape) != len(w.shape):  # PyTorch takes a number for a vector
        raise ctx.refused("indices need as many axes as the array they index")
    axis %= len(v.shape)

    def element(index: Index):
        place = _inside(w.at(index), v.shape[axis])
        return v.at([*index[:axis], place, *index[axis + 1 :]])

    return Lazy(w.shape, v.dtype, element, w.cost + 1)


# --- writing -------------------------------------------------------------------------------------


@operation("scatter")
def scatter(ctx: Context, x, axis, which, src) -> Value:
    """x, but y[i, which[i, j]] = src[i, j] for axis 1 of two."""
    return _put(ctx, x, axis, ctx.value(which), src, "scatter")


@operation("scatter_add")
def scatter_add(ctx: Context, x, axis, which, src) -> Value:
    """The same with +=."""
    return _put(ctx, x, axis, ctx.value(which), src, "scatter_add")


@operation("index_put")
def index_put(ctx: Context, x, which, src, accumulate=False) -> Value:
    """x, but y[which] = src or += src, for one vector of indices."""
    if (
        len(which) != 1
        or which[0].meta["val"].ndim != 1
        or which[0].meta["val"].dtype == torch.bool
    ):
        raise ctx.refused("only one vector of whole numbers is supported, for the first axis")
    base, w = ctx.value(x), ctx.value(which[0])
    shape = (*w.shape, *base.shape[1:])
    rows = Lazy(shape, w.dtype, lambda index: w.at(index[:1]), w.cost)
    return _put(ctx, x, 0, rows, src, "scatter_add" if accumulate else "scatter")


def _put(ctx: Context, x, axis: int, which: Value, src, function: str) -> Value:
    """One after another along all axes; a later one of the same index wins, or adds to it."""
    base, w = ctx.value(x), ctx.program.packed(which)
    if len(base.shape) != len(w.shape):
        raise ctx.refused("indices need as many axes as the array they index")
    axis %= len(base.shape)
    values = ctx.program.packed(spread(ctx.value(src, ctx.dtype), w.shape))
    target = ctx.program.packed(Lazy(base.shape, base.dtype, base.at, base.cost))
    final = ctx.program.new(base.shape, base.dtype)
    # (before, axis, behind) of both; the others agree
    before, behind = product(w.shape[:axis]), product(w.shape[axis + 1 :])
    if product(base.shape[:axis]) != before or product(base.shape[axis + 1 :]) != behind:
        raise ctx.refused("indices must be as wide as the array they index")
    sizes = (before, base.shape[axis], w.shape[axis], behind)
    pointers = ("{0}", "{1}", "{2}", "{3}")
    form = called(ctx, function, target, *sizes, *pointers)
    ctx.program.call(form, [target, w, values], [final])
    return final
