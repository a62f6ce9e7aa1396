"""What one element of an array is, as an expression of the indices of a loop.

Equal expressions are one object (`_unique`), so a loop's body computes nothing twice. Where an
element lies in memory is kept apart from what is computed, as a `Place`: a sum of loop variables
times strides. Loops are merged, collapsed and turned by looking at places alone.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch

from bnviz.compile.sizes import Size, size_of

__all__ = [
    "C_TYPE",
    "Expression",
    "Place",
    "cast",
    "constant",
    "load",
    "make",
    "rewritten",
    "value",
]

C_TYPE = {
    torch.float32: "float",
    torch.float64: "double",
    torch.int64: "int64_t",
    torch.int32: "int32_t",
    torch.bool: "uint8_t",
    torch.uint8: "uint8_t",
}


@dataclass(frozen=True, eq=False)
class Expression:
    """One node of an element's computation.

    Attributes:
        form: C, with {0}, {1}, ... for the arguments; "load" and "index" stand for `place`.
        args: other expressions; of a place, the indices that it looks up.
        dtype: of the value.
        cost: roughly, in additions, of computing it from what is in memory.
        place: of a load, in elements of `buffer`; of an index, the number itself.
        buffer: what is loaded from.
    """

    form: str
    args: tuple["Expression", ...]
    dtype: torch.dtype
    cost: int = 0
    place: "Place | None" = None
    buffer: Any = None


@dataclass(frozen=True)
class Place:
    """A whole number: constant + sum of variable * stride + sum of looked-up index * stride."""

    constant: Size = field(default_factory=lambda: size_of(0))
    terms: tuple[tuple[str, Size], ...] = ()
    gathered: tuple[tuple[Expression, Size], ...] = ()

    def __add__(self, other: "Place") -> "Place":
        strides = dict(self.terms)
        for name, stride in other.terms:
            strides[name] = strides.get(name, size_of(0)) + stride
        terms = tuple(sorted((n, s) for n, s in strides.items() if s.fixed != 0))
        return Place(self.constant + other.constant, terms, self.gathered + other.gathered)

    def __mul__(self, size: Size | int) -> "Place":
        size = size_of(size)
        if size.fixed == 0:
            return Place()
        return Place(
            self.constant * size,
            tuple((n, s * size) for n, s in self.terms),
            tuple((e, s * size) for e, s in self.gathered),
        )

    def stride(self, name: str) -> Size:
        """How far one step of a variable goes."""
        return dict(self.terms).get(name, size_of(0))


def at_variable(name: str) -> Place:
    """A loop's variable."""
    return Place(terms=((name, size_of(1)),))


def at_number(size: Size | int) -> Place:
    """A number."""
    return Place(size_of(size))


def at_value(index: Expression) -> Place:
    """An index that is computed."""
    return Place(gathered=((index, size_of(1)),))


_known: dict[tuple, Expression] = {}


def forget() -> None:
    """Begin anew; the expressions of one program are no use to the next."""
    _known.clear()


def _unique(found: Expression) -> Expression:
    place = found.place and (
        found.place.constant,
        found.place.terms,
        tuple((id(e), s) for e, s in found.place.gathered),
    )
    key = (found.form, tuple(map(id, found.args)), found.dtype, place, id(found.buffer))
    return _known.setdefault(key, found)


def make(form: str, dtype: torch.dtype, *args: Expression, cost: int = 1) -> Expression:
    """An operation."""
    return _unique(Expression(form, args, dtype, cost + sum(a.cost for a in args)))


def load(buffer: Any, place: Place, dtype: torch.dtype) -> Expression:
    """The element of a buffer at a place."""
    args = tuple(e for e, _ in place.gathered)
    cost = sum(a.cost for a in args)
    return _unique(Expression("load", args, dtype, cost, place, buffer))


def value(place: Place, dtype: torch.dtype = torch.int64) -> Expression:
    """An index as a number to compute with."""
    args = tuple(e for e, _ in place.gathered)
    return _unique(Expression("index", args, dtype, sum(a.cost for a in args), place))


def constant(number: float | int | bool, dtype: torch.dtype) -> Expression:
    """A number, written so that C reads back the same one."""
    return _unique(Expression(_literal(number, dtype), (), dtype))


def _literal(number: float | int | bool, dtype: torch.dtype) -> str:
    if dtype == torch.bool:
        return str(int(bool(number)))
    if not dtype.is_floating_point:
        text = f"{int(number)}{'LL' if dtype == torch.int64 else ''}"
        if int(number) == -(2**63):  # C reads the number first, then its sign
            text = f"-{2**63 - 1}LL - 1"
    else:
        number = torch.tensor(float(number), dtype=dtype).item()
        if math.isnan(number):
            return "NAN"
        text = repr(number) if math.isfinite(number) else "INFINITY" if number > 0 else "-INFINITY"
        if dtype == torch.float32 and math.isfinite(number):
            text += "f"
    return f"({text})" if text.startswith("-") else text


def cast(x: Expression, dtype: torch.dtype) -> Expression:
    """The value in another format; as in PyTorch, all but 0 is true, NaN too."""
    if x.dtype == dtype:
        return x
    if dtype == torch.bool:
        return make("({0} != 0)", dtype, x)
    return make(f"(({C_TYPE[dtype]}){{0}})", dtype, x)


def rewritten(
    x: Expression,
    place: Callable[[Place], Place] = lambda p: p,
    instead: Callable[[Expression], Expression | None] = lambda _: None,
    memo: dict[int, Expression] | None = None,
) -> Expression:
    """The same with other places, and with other expressions in place of some."""
    memo = {} if memo is None else memo
    if id(x) in memo:
        return memo[id(x)]
    if (other := instead(x)) is not None:
        found = other
    else:
        args = tuple(rewritten(a, place, instead, memo) for a in x.args)
        where = x.place
        if where is not None:
            pairs = zip(args, where.gathered, strict=True)
            where = place(replace(where, gathered=tuple((a, s) for a, (_, s) in pairs)))
        found = _unique(replace(x, args=args, place=where))
    memo[id(x)] = found
    return found


def parts(x: Expression, seen: dict[int, Expression] | None = None) -> dict[int, Expression]:
    """An expression and all it is made of, arguments first, each once."""
    seen = {} if seen is None else seen
    if id(x) not in seen:
        for a in x.args:
            parts(a, seen)
        seen[id(x)] = x
    return seen
