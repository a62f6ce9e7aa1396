"""Operations along one axis that are no plain loops: each is a function of `kernels.c`."""

import torch

from bnviz.compile.kernels import called
from bnviz.compile.operations import Context, operation
from bnviz.compile.reshaping import reshaped
from bnviz.compile.sizes import product
from bnviz.compile.values import Lazy, Value, View, converted

__all__ = ["argmax", "cumulated", "softmax", "sort"]


@operation("argmax")
def argmax(ctx: Context, x, axis=None, _keep=False) -> Value:
    """Where the largest stands, along one axis or among all."""
    v = ctx.value(x)
    if axis is None:
        v, axis = reshaped(ctx.program, v, (product(v.shape),)), 0
    rows = _as_rows(ctx, v, axis)
    found = ctx.program.new(rows.shape[:-1], torch.int64)
    sizes = (product(rows.shape[:-1]), rows.shape[-1])
    ctx.program.call(called(ctx, "argmax", v, *sizes, "{0}", "{1}"), [rows], [found])
    return reshaped(ctx.program, found, ctx.shape)


@operation("_softmax")
def softmax(ctx: Context, x, axis, *_) -> Value:
    """e^x / sum of e^x."""
    return _along(ctx, "softmax", ctx.value(x), axis)


@operation("_log_softmax")
def log_softmax(ctx: Context, x, axis, *_) -> Value:
    """Its logarithm, which needs no division."""
    return _along(ctx, "log_softmax", ctx.value(x), axis, scratch=1)


@operation("cumsum")
def cumulated(ctx: Context, x, axis, **_) -> Value:
    """The sum of all up to here."""
    return _along(ctx, "cumulate", converted(ctx.value(x), ctx.dtype), axis)


def _along(ctx: Context, function: str, v: Value, axis: int, scratch: int = 0) -> Value:
    """One function along an axis, which leaves the shape as it is.

    Args:
        scratch: how many more arrays of this shape it works in.
    """
    rows = _as_rows(ctx, v, axis)
    found, *more = (ctx.program.new(rows.shape, v.dtype) for _ in range(1 + scratch))
    sizes = (product(rows.shape[:-1]), rows.shape[-1])
    pointers = [f"{{{k}}}" for k in range(2 + scratch)]
    form = called(ctx, function, v, *sizes, *pointers)
    ctx.program.call(form, [rows], [found, *more])
    back = _back(len(v.shape), axis)
    shape, strides = ([own[k] for k in back] for own in (found.shape, found.strides))
    return found.with_axes(tuple(shape), tuple(strides))


def _as_rows(ctx: Context, v: Value, axis: int) -> View:
    """In memory with one axis behind all others."""
    axis %= len(v.shape)
    if axis == len(v.shape) - 1:
        return ctx.program.packed(v)
    shape = (*v.shape[:axis], *v.shape[axis + 1 :], v.shape[axis])
    back = _back(len(v.shape), axis)
    return ctx.program.packed(
        Lazy(shape, v.dtype, lambda index: v.at([index[k] for k in back]), v.cost)
    )


def _back(rank: int, axis: int) -> list[int]:
    """Where each axis stands when one of them is behind all others."""
    axis %= rank
    order = [*(k for k in range(rank) if k != axis), axis]
    return [order.index(k) for k in range(rank)]


@operation("sort")
def sort(ctx: Context, x, axis=-1, descending=False) -> list[Value | None]:
    """Ascending; (others, n, width), the axis in the middle: columns are sorted side by side."""
    v = ctx.value(x)
    if descending:
        raise ctx.refused("only an ascending order is supported; sort -x")
    if any(u.args[1] == 1 and u.users for u in ctx.node.users):
        raise ctx.refused("only the sorted values are supported, not the order")
    axis %= len(v.shape)
    found = ctx.program.packed(Lazy(v.shape, v.dtype, v.at, v.cost))  # sorted in place
    target = ctx.program.new(v.shape, v.dtype)
    sizes = (product(v.shape[:axis]), v.shape[axis], product(v.shape[axis + 1 :]))
    form = called(ctx, "sort_columns", v, *sizes, "{0}", "{1}")
    ctx.program.call(form, [found], [target])
    return [target, None]
