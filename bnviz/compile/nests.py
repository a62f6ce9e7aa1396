"""Nests of loops: what is computed for every index, stored or summed up along some axes.

Two nests over the same indices become one where nothing stands between them, so a value that was
just computed is used while it is at hand. Then axes that lie one behind the other in memory become
one, and the loops are written: sums along the last axes in a register, sums over rows in a strip of
columns that fits into registers.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import torch

from bnviz.compile import expressions as ex
from bnviz.compile.choices import chosen, shared_condition
from bnviz.compile.expressions import C_TYPE, Expression, Place
from bnviz.compile.sizes import Size
from bnviz.compile.values import Buffer

__all__ = ["Names", "Nest", "Store", "Sum", "indices"]

STRIP = 64  # columns that are summed at once: few enough to stay in the first cache
MOST = 80  # expressions in one loop's body; compilers get slow beyond

_START = {"+": "0", "*": "1", "|": "0", "&": "1"}
_FOLD = {
    "+": "{s} += {x};",
    "*": "{s} *= {x};",
    "|": "{s} |= {x};",
    "&": "{s} &= {x};",
    # as in PyTorch, NaN is larger than all and smaller than all
    "max": "{s} = ({x} > {s} || {x} != {x}) ? {x} : {s};",
    "min": "{s} = ({x} < {s} || {x} != {x}) ? {x} : {s};",
}


class Names:
    """The pointers that a kernel is given: one for each place in memory where something begins."""

    def __init__(self):
        self.pointers: dict[tuple[int, Size], tuple[Buffer, Size]] = {}
        self.written: set[int] = set()

    def pointer(self, buffer: Buffer, offset: Size, write: bool = False) -> str:
        """Its name, such as p0."""
        key = (id(buffer), offset)
        self.pointers.setdefault(key, (buffer, offset))
        if write:
            self.written.add(id(buffer))
        return f"p{list(self.pointers).index(key)}"

    def declared(self) -> str:
        """The parameters in C."""
        found = ["int B"]
        for k, (buffer, _) in enumerate(self.pointers.values()):
            constant = "" if id(buffer) in self.written else "const "
            found.append(f"{constant}{C_TYPE[buffer.dtype]} *restrict p{k}")
        return ", ".join(found)


@dataclass(frozen=True, eq=False)
class Store:
    """buffer[place] = value, for every index."""

    buffer: Buffer
    place: Place
    value: Expression

    @property
    def target(self) -> Expression:
        return ex.load(self.buffer, self.place, self.buffer.dtype)


@dataclass(frozen=True, eq=False)
class Sum:
    """buffer[place] = all values along the reduced axes, folded by an operator; then `finish`."""

    buffer: Buffer
    place: Place
    value: Expression
    operator: str = "+"
    finish: str = "{0}"


Part = TypeVar("Part", Store, Sum)


def indices(shape: Sequence[Size]) -> tuple[Place, ...]:
    """One variable for each axis that is longer than 1."""
    return tuple(
        Place() if size.fixed == 1 else ex.at_variable(f"i{k}") for k, size in enumerate(shape)
    )


@dataclass(eq=False)
class Nest:
    """Loops over some extents.

    Attributes:
        extents: variable -> how often it runs, outermost first.
        reduced: the variables along which `sums` add up.
    """

    extents: dict[str, Size]
    reduced: frozenset[str] = frozenset()
    stores: list[Store] = field(default_factory=list)
    sums: list[Sum] = field(default_factory=list)

    # --- what it touches -------------------------------------------------------------------------

    def values(self) -> list[Expression]:
        """Everything that its body computes."""
        return [s.value for s in (*self.stores, *self.sums)]

    def _body(self) -> dict[int, Expression]:
        seen: dict[int, Expression] = {}
        for value in self.values():
            ex.parts(value, seen)
        return seen

    def loads(self) -> list[Expression]:
        return [e for e in self._body().values() if e.form == "load"]

    def reads(self) -> list[Buffer]:
        """Each buffer once, always in the same order, so that another build gives the same C."""
        return list(dict.fromkeys(e.buffer for e in self.loads()))

    def writes(self) -> list[Buffer]:
        """The same for what it stores and sums up."""
        return list(dict.fromkeys(s.buffer for s in (*self.stores, *self.sums)))

    # --- merging ---------------------------------------------------------------------------------

    def takes(self, other: "Nest") -> bool:
        """May `other`, which comes later, run in the same loops?"""
        if list(self.extents.items()) != list(other.extents.items()):
            return False
        if self.sums and other.sums and self.reduced != other.reduced:
            return False
        mine = {id(s.target) for s in self.stores}
        written = self.writes()
        if any(e.buffer in written and id(e) not in mine for e in other.loads()):
            return False
        return len(self._body()) + len(other._body()) <= MOST

    def take(self, other: "Nest") -> None:
        """Do what `other` does in the same loops; what this one stores need not be read back."""
        known = {id(s.target): s.value for s in self.stores}
        memo: dict[int, Expression] = {}

        def new(x: Expression) -> Expression:
            return ex.rewritten(x, instead=lambda e: known.get(id(e)), memo=memo)

        self.stores += [replace(s, value=new(s.value)) for s in other.stores]
        self.sums += [replace(s, value=new(s.value)) for s in other.sums]
        self.reduced |= other.reduced

    # --- C ---------------------------------------------------------------------------------------

    def code(self, names: Names) -> str:
        """The loops."""
        nest = self
        while (simpler := nest._collapsed()) is not None:
            nest = simpler
        condition = shared_condition(nest.values(), set(nest.writes()))
        if condition is None:
            return "\n".join(nest._loops(names))
        lines, text = _statements(ex.parts(condition).values(), names)
        holds, fails = (nest._with(condition, answer).code(names) for answer in (True, False))
        test = f"if ({text[id(condition)]}) {{"
        return "\n".join(["{", *lines, test, holds, "} else {", fails, "}", "}"])

    def _with(self, condition: Expression, holds: bool) -> "Nest":
        """The same where it is known whether a condition holds."""
        memo: dict[int, Expression] = {}

        def new(s: Part) -> Part:
            return replace(s, value=chosen(s.value, condition, holds, memo))

        return replace(self, stores=[*map(new, self.stores)], sums=[*map(new, self.sums)])

    def _places(self) -> Iterator[Place]:
        for s in (*self.stores, *self.sums):
            yield s.place
        for e in self.loads():
            yield e.place or Place()

    def _collapsed(self) -> "Nest | None":
        """The same with two neighbouring axes as one, where memory knows no difference."""
        counted = {
            n
            for e in self._body().values()
            if e.form == "index"
            for n, _ in (e.place or Place()).terms
        }
        axes = list(self.extents)
        for a, b in itertools.pairwise(axes):
            if {a, b} & counted or (a in self.reduced) != (b in self.reduced):
                continue
            length = self.extents[b]
            if all(p.stride(a) == p.stride(b) * length for p in self._places()):
                return self._joined(a, b)
        return None

    def _joined(self, a: str, b: str) -> "Nest":
        def place(p: Place) -> Place:
            return replace(p, terms=tuple((n, s) for n, s in p.terms if n != a))

        memo: dict[int, Expression] = {}

        def new(s: Part) -> Part:
            value = ex.rewritten(s.value, place, memo=memo)
            return replace(s, place=place(s.place), value=value)

        extents = {n: e for n, e in self.extents.items() if n != a}
        extents[b] = self.extents[a] * self.extents[b]
        return Nest(
            extents, self.reduced - {a}, [new(s) for s in self.stores], [new(s) for s in self.sums]
        )

    def _loops(self, names: Names) -> list[str]:
        kept = [n for n in self.extents if n not in self.reduced]
        along = [n for n in self.extents if n in self.reduced]
        if not self.sums:
            return [*self._for(self.extents), *self._stores(names), "}" * len(self.extents)]
        last = kept[-1] if kept else ""
        width = self._strip(last) if last and list(self.extents)[-1] == last else None
        if width is not None:
            return self._strips(names, kept, along, last, width)
        lines = self._for(kept)
        lines += [f"{_type(s)} s{k} = {_start(s)};" for k, s in enumerate(self.sums)]
        lines += [*self._for(along), *self._stores(names)]
        lines += [_fold(s, f"s{k}", f"x{k}") for k, s in enumerate(self.sums)]
        lines += ["}" * len(along)]
        lines += [self._finish(names, s, f"s{k}") for k, s in enumerate(self.sums)]
        return [*lines, "}" * len(kept)]

    def _strip(self, name: str) -> int | None:
        """How many columns to sum at once: as many registers as there are, no rest."""
        columns = self.extents[name].fixed
        if columns is None:
            return None
        fitting = [w for w in range(1, 2 * STRIP + 1) if columns % w == 0]
        if columns <= 2 * STRIP:
            return columns
        return STRIP if STRIP in fitting else max(fitting) if max(fitting) >= 4 else None

    def _strips(
        self, names: Names, kept: list[str], along: list[str], last: str, width: int
    ) -> list[str]:
        columns = self.extents[last].fixed
        lines = self._for(kept[:-1])
        lines.append(f"for (int j = 0; j < {columns}; j += {width}) {{")
        for k, s in enumerate(self.sums):
            lines.append(f"{_type(s)} s{k}[{width}];")
            lines.append(f"for (int k = 0; k < {width}; k++) s{k}[k] = {_start(s)};")
        inner = f"for (int k = 0; k < {width}; k++) {{ const int {last} = j + k;"
        lines += [*self._for(along), inner, *self._stores(names)]
        lines += [_fold(s, f"s{k}[k]", f"x{k}") for k, s in enumerate(self.sums)]
        lines += ["}" * (len(along) + 1), inner]
        lines += [self._finish(names, s, f"s{k}[k]") for k, s in enumerate(self.sums)]
        return [*lines, "}", "}", "}" * len(kept[:-1])]

    def _for(self, variables: Iterable[str]) -> list[str]:
        return [f"for (int {n} = 0; {n} < {self.extents[n].code()}; {n}++) {{" for n in variables]

    def _finish(self, names: Names, s: Sum, total: str) -> str:
        text = s.finish.format(total)
        return f"{_target(names, s)} = {text};"

    def _stores(self, names: Names) -> list[str]:
        """The body: every expression gets a name; values to be summed are called x0, x1, ..."""
        lines, text = _statements(self._body().values(), names)
        lines += [f"{_target(names, s)} = {text[id(s.value)]};" for s in self.stores]
        for k, s in enumerate(self.sums):
            lines.append(f"const {_type(s)} x{k} = {text[id(s.value)]};")
        return lines


def _statements(body: Iterable[Expression], names: Names) -> tuple[list[str], dict[int, str]]:
    """C that computes expressions, arguments first; and what each is called then, by its id."""
    text: dict[int, str] = {}
    lines = []
    for e in body:
        text[id(e)] = _text(e, text, names)
        if e.form == "load" or (e.args and e.form != "index"):
            lines.append(f"const {C_TYPE[e.dtype]} t{len(text)} = {text[id(e)]};")
            text[id(e)] = f"t{len(text)}"
    return lines, text


def _type(s: Sum) -> str:
    return C_TYPE[s.buffer.dtype]


def _start(s: Sum) -> str:
    if s.operator in _START:
        return _START[s.operator]
    if s.buffer.dtype.is_floating_point:
        return "-INFINITY" if s.operator == "max" else "INFINITY"
    limits = torch.iinfo(torch.uint8 if s.buffer.dtype == torch.bool else s.buffer.dtype)
    most = limits.min if s.operator == "max" else limits.max
    return f"({most + 1}LL - 1)" if most < 0 else f"{most}LL"


def _fold(s: Sum, total: str, x: str) -> str:
    return _FOLD[s.operator].format(s=total, x=x)


def _target(names: Names, s: Store | Sum) -> str:
    pointer = names.pointer(s.buffer, s.place.constant, write=True)
    return f"{pointer}[{_place(replace(s.place, constant=Size(())), {}, names)}]"


def _text(e: Expression, text: dict[int, str], names: Names) -> str:
    if e.form == "load":
        assert e.place is not None
        pointer = names.pointer(e.buffer, e.place.constant)
        return f"{pointer}[{_place(replace(e.place, constant=Size(())), text, names)}]"
    if e.form == "index":
        assert e.place is not None
        return f"(({C_TYPE[e.dtype]})({_place(e.place, text, names)}))"
    return e.form.format(*(text[id(a)] for a in e.args))


def _place(place: Place, text: dict[int, str], names: Names) -> str:
    terms = []
    for what, stride in (
        *place.terms,
        *((f"(int){text[id(e)]}", s) for e, s in place.gathered),
    ):
        if stride.fixed == 1:
            terms.append(what)
        else:
            size = stride.code() if stride.fixed is not None else f"({stride.code()})"
            terms.append(f"{what} * {size}")
    if place.constant.fixed != 0:
        terms.append(place.constant.code())
    return " + ".join(terms) or "0"
