"""Operations that reach the same elements by other indices; most need no work and no memory.

Of a `View` the strides change, of a `Lazy` array the indices that it is asked for.
"""

from bnviz.compile import expressions as ex
from bnviz.compile.operations import Context, name_of, operation
from bnviz.compile.reshaping import reshaped
from bnviz.compile.sizes import size_of
from bnviz.compile.values import Index, Lazy, Value, View, converted, spread

__all__ = [
    "diagonal",
    "expanded",
    "flipped",
    "joined",
    "permuted",
    "repeated",
    "selected",
    "sliced",
    "split",
    "viewed",
]


@operation("view", "_unsafe_view", "reshape", "unsqueeze", "squeeze")
def viewed(ctx: Context, x, *_) -> Value:
    """The same elements in the same order with other axes."""
    return reshaped(ctx.program, ctx.value(x), ctx.shape)


@operation("permute")
def permuted(ctx: Context, x, axes) -> Value:
    """Axes in another order."""
    v = ctx.value(x)
    if all(name_of(user.target) in ("mm", "bmm", "addmm") for user in ctx.node.users):
        # products read their factors from memory, and what is written in its own order is faster
        v = ctx.program.store(v)
    axes = [a % len(v.shape) for a in axes]
    shape = tuple(v.shape[a] for a in axes)
    if isinstance(v, View):
        return v.with_axes(shape, tuple(v.strides[a] for a in axes))
    back = [axes.index(k) for k in range(len(axes))]
    return Lazy(shape, v.dtype, lambda index: v.at([index[k] for k in back]), v.cost)


@operation("expand")
def expanded(ctx: Context, x, *_, **_more) -> Value:
    """x again and again along axes of length 1, and along new ones."""
    return ctx.spread(ctx.value(x), ctx.shape)


@operation("select")
def selected(ctx: Context, x, axis, at) -> Value:
    """x[at] of one axis, which vanishes; a negative one counts from the end."""
    v = ctx.value(x)
    axis %= len(v.shape)
    chosen = size_of(at) if at >= 0 else v.shape[axis] + at
    shape = (*v.shape[:axis], *v.shape[axis + 1 :])
    if isinstance(v, View):
        strides = (*v.strides[:axis], *v.strides[axis + 1 :])
        return v.with_axes(shape, strides, v.offset + v.strides[axis] * chosen)

    def element(index: Index):
        return v.at([*index[:axis], ex.at_number(chosen), *index[axis:]])

    return Lazy(shape, v.dtype, element, v.cost)


@operation("slice")
def sliced(ctx: Context, x, axis=0, start=None, _end=None, step=1) -> Value:
    """x[start:end:step] of one axis; PyTorch has worked out how long that is."""
    v = ctx.value(x)
    axis %= len(v.shape)
    begin = ctx.size(start or 0)
    if begin.fixed is not None and begin.fixed < 0:
        begin = v.shape[axis] + begin
        if begin.fixed is not None and begin.fixed < 0:
            begin = size_of(0)  # more than there are: all of them
    if isinstance(v, View):
        strides = (*v.strides[:axis], v.strides[axis] * step, *v.strides[axis + 1 :])
        return v.with_axes(ctx.shape, strides, v.offset + v.strides[axis] * begin)

    def element(index: Index):
        moved = index[axis] * step + ex.at_number(begin)
        return v.at([*index[:axis], moved, *index[axis + 1 :]])

    return Lazy(ctx.shape, v.dtype, element, v.cost)


@operation("split_with_sizes")
def split(ctx: Context, x, sizes, axis=0) -> list[Value]:
    """Pieces of these lengths."""
    v = ctx.program.store(ctx.value(x))
    axis %= len(v.shape)
    parts, begin = [], size_of(0)
    for size in map(ctx.size, sizes):
        shape = (*v.shape[:axis], size, *v.shape[axis + 1 :])
        parts.append(v.with_axes(shape, v.strides, v.offset + v.strides[axis] * begin))
        begin = begin + size
    return parts


@operation("diagonal")
def diagonal(ctx: Context, x, offset=0, first=0, second=1) -> Value:
    """x[k, k + offset] of two axes, as the last axis: one step goes along both."""
    v = ctx.program.store(ctx.value(x))
    a, b = first % len(v.shape), second % len(v.shape)
    rest = [k for k in range(len(v.shape)) if k not in (a, b)]
    strides = (*(v.strides[k] for k in rest), v.strides[a] + v.strides[b])
    begin = v.strides[b] * offset if offset >= 0 else v.strides[a] * -offset
    return v.with_axes(ctx.shape, strides, v.offset + begin)


@operation("flip")
def flipped(ctx: Context, x, axes) -> Value:
    """Some axes from their end to their beginning."""
    v = ctx.value(x)
    axes = [a % len(v.shape) for a in axes]
    last = {a: v.shape[a] + -1 for a in axes}
    if isinstance(v, View):
        strides = tuple(s * -1 if k in axes else s for k, s in enumerate(v.strides))
        offset = v.offset
        for a in axes:
            offset = offset + v.strides[a] * last[a]
        return v.with_axes(v.shape, strides, offset)

    def element(index: Index):
        return v.at(
            [ex.at_number(last[k]) + i * -1 if k in axes else i for k, i in enumerate(index)]
        )

    return Lazy(v.shape, v.dtype, element, v.cost)


@operation("repeat")
def repeated(ctx: Context, x, times) -> Value:
    """The whole array again and again along its axes."""
    v, shape = ctx.value(x), ctx.shape
    own = (*[size_of(1)] * (len(shape) - len(v.shape)), *v.shape)
    if all(a == b or a.fixed == 1 for a, b in zip(own, shape, strict=True)):
        return ctx.spread(v, shape)
    # [repetition, own] per axis, then the two as one
    narrow = tuple(size for a in own for size in (size_of(1), a))
    wide = tuple(size for n, a in zip(times, own, strict=True) for size in (ctx.size(n), a))
    v = spread(reshaped(ctx.program, v, narrow), wide)
    return reshaped(ctx.program, ctx.program.packed(v), shape)


@operation("cat")
def joined(ctx: Context, parts, axis=0) -> Value:
    """One behind the other: each is written to its part of a new array."""
    axis %= len(ctx.shape)
    target, begin = ctx.program.new(ctx.shape, ctx.dtype), size_of(0)
    for x in map(ctx.value, parts):
        if len(x.shape) != len(ctx.shape):  # an empty vector counts for nothing
            continue
        offset = target.offset + target.strides[axis] * begin
        part = target.with_axes(tuple(x.shape), target.strides, offset)
        ctx.program.write(converted(x, ctx.dtype), part)
        begin = begin + x.shape[axis]
    return target
