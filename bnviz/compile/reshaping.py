"""The same elements in the same order with other axes; without a copy, where that is possible."""

from collections.abc import Iterable

from bnviz.compile.expressions import Place
from bnviz.compile.program import Program
from bnviz.compile.sizes import Size, product, size_of
from bnviz.compile.values import Index, Lazy, Value, View, row_major

__all__ = ["reshaped"]


def reshaped(program: Program, x: Value, shape: tuple[Size, ...]) -> Value:
    """x with these axes; `program` stores it where there is no other way."""
    if tuple(x.shape) == shape:
        return x
    long = [k for k, size in enumerate(x.shape) if size.fixed != 1]
    wanted = [k for k, size in enumerate(shape) if size.fixed != 1]
    if [x.shape[k] for k in long] == [shape[k] for k in wanted]:
        return _renamed(x, shape, dict(zip(wanted, long, strict=True)))
    if isinstance(x, Lazy) and (found := _split(x, shape)) is not None:
        return found
    packed = program.packed(x)
    return packed.with_axes(shape, row_major(shape))


def _renamed(x: Value, shape: tuple[Size, ...], own: dict[int, int]) -> Value:
    """Only axes of length 1 come and go; of the others, axis k is x's axis own[k]."""
    if isinstance(x, View):
        strides = [size_of(0)] * len(shape)
        for k, axis in own.items():
            strides[k] = x.strides[axis]
        return x.with_axes(shape, tuple(strides))

    def element(index: Index):
        inner = [Place()] * len(x.shape)
        for k, axis in own.items():
            inner[axis] = index[k]
        return x.at(inner)

    return Lazy(shape, x.dtype, element, x.cost)


def _split(x: Lazy, shape: tuple[Size, ...]) -> Lazy | None:
    """A lazy array whose axes become several each, which needs no division; else None."""
    groups, k = [], 0
    for size in x.shape:
        start, found = k, size_of(1)
        while found != size and k < len(shape):
            found = found * shape[k]
            k += 1
        if found != size:
            return None
        groups.append((start, k))
    if any(size.fixed != 1 for size in shape[k:]):
        return None

    def element(index: Index):
        return x.at(
            [
                _sum(index[j] * product(shape[j + 1 : end]) for j in range(start, end))
                for start, end in groups
            ]
        )

    return Lazy(shape, x.dtype, element, x.cost)


def _sum(places: Iterable[Place]) -> Place:
    found = Place()
    for place in places:
        found = found + place
    return found
