"""Arrays while they are compiled: what lies in memory, and what is not computed yet.

A `View` says how the elements of a `Buffer` are reached: an offset and a stride for each axis, as
in PyTorch itself. A `Lazy` array is a function from indices to an expression. Both answer to `at`,
so whoever reads an element need not know which of them it is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import torch

from bnviz.compile import expressions as ex
from bnviz.compile.expressions import Expression, Place
from bnviz.compile.sizes import Size, product, size_of

__all__ = [
    "Buffer",
    "Index",
    "Lazy",
    "Value",
    "View",
    "contiguous",
    "converted",
    "mapped",
    "number",
    "row_major",
    "spread",
]

Shape = tuple[Size, ...]
Index = tuple[Place, ...]


@dataclass(eq=False)
class Buffer:
    """A piece of memory.

    Attributes:
        size: elements.
        dtype: their format.
        kind: "temporary", "input", "output" or "constant".
        name: of an input or output.
        data: the numbers of a constant.
        at: byte where it begins, once `memory.plan` has found it a place.
    """

    size: Size
    dtype: torch.dtype
    kind: str = "temporary"
    name: str = ""
    data: torch.Tensor | None = None
    at: int = -1


@dataclass(frozen=True, eq=False)
class View:
    """Elements of a buffer: offset + sum of index * stride, all in elements."""

    buffer: Buffer
    shape: Shape
    strides: Shape
    offset: Size = field(default_factory=lambda: size_of(0))

    @property
    def dtype(self) -> torch.dtype:
        return self.buffer.dtype

    @property
    def cost(self) -> int:
        return 0

    def place(self, index: Sequence[Place]) -> Place:
        """Where in the buffer an element lies."""
        found = Place(self.offset)
        for i, stride, size in zip(index, self.strides, self.shape, strict=True):
            if size.fixed != 1:
                found = found + i * stride
        return found

    def at(self, index: Sequence[Place]) -> Expression:
        """The element of that index."""
        return ex.load(self.buffer, self.place(index), self.dtype)

    def with_axes(self, shape: Shape, strides: Shape, offset: Size | None = None) -> "View":
        """Other axes over the same memory."""
        return replace(
            self, shape=shape, strides=strides, offset=self.offset if offset is None else offset
        )

    @property
    def is_contiguous(self) -> bool:
        wanted = row_major(self.shape)
        axes = zip(self.shape, self.strides, wanted, strict=True)
        return all(size.fixed == 1 or stride == w for size, stride, w in axes)


@dataclass(frozen=True, eq=False)
class Lazy:
    """Elements that are computed where they are read; `cost` is that of one of them."""

    shape: Shape
    dtype: torch.dtype
    element: Callable[[Index], Expression]
    cost: int = 0

    def at(self, index: Sequence[Place]) -> Expression:
        """The element of that index."""
        return self.element(tuple(index))


Value = View | Lazy


def row_major(shape: Sequence[Size]) -> Shape:
    """Strides of an array whose last index runs fastest."""
    return tuple(product(shape[k + 1 :]) for k in range(len(shape)))


def contiguous(buffer: Buffer, shape: Sequence[Size]) -> View:
    """A whole buffer as an array of that shape."""
    return View(buffer, tuple(shape), row_major(shape))


def spread(x: Value, shape: Sequence[Size]) -> Value:
    """x as wide as `shape`, to which it broadcasts: new axes in front, axes of length 1 repeat."""
    missing = len(shape) - len(x.shape)
    if isinstance(x, View):
        zero = size_of(0)
        strides = tuple(
            zero if own.fixed == 1 else stride
            for own, stride in zip(x.shape, x.strides, strict=True)
        )
        return x.with_axes(tuple(shape), (zero,) * missing + strides)

    def element(index: Index) -> Expression:
        pairs = zip(index[missing:], x.shape, strict=True)
        return x.at([Place() if size.fixed == 1 else i for i, size in pairs])

    return Lazy(tuple(shape), x.dtype, element, x.cost)


def number(x: float | int | bool, dtype: torch.dtype, shape: Shape = ()) -> Lazy:
    """A number everywhere."""
    found = ex.constant(x, dtype)
    return Lazy(shape, dtype, lambda _: found)


def converted(x: Value, dtype: torch.dtype) -> Value:
    """x in another format."""
    if x.dtype == dtype:
        return x
    return Lazy(x.shape, dtype, lambda index: ex.cast(x.at(index), dtype), x.cost)


def mapped(
    code: str,
    dtype: torch.dtype,
    shape: Sequence[Size],
    values: Sequence[Value],
    cost: int,
    computed: torch.dtype | None = None,
) -> Lazy:
    """An operation on every element; arguments are converted to the format it computes in.

    Args:
        code: C, with {0}, {1}, ... for the elements of `values`, which have this shape.
        cost: roughly, in additions.
        computed: the format of the arguments; unless given, the one that each has.
    """

    def element(index: Index) -> Expression:
        own = [v.at(index) for v in values]
        own = [ex.cast(e, computed) for e in own] if computed else own
        return ex.make(code, dtype, *own, cost=cost)

    return Lazy(tuple(shape), dtype, element, cost + sum(v.cost for v in values))
