"""A program: what one traced function does, kernel after kernel, and the memory that it needs.

Values are stored here, and kernels find their place: a nest of loops moves up to an earlier one
over the same indices, if all that it reads is there by then.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from bnviz.compile.expressions import C_TYPE
from bnviz.compile.nests import Names, Nest, Store, Sum, indices
from bnviz.compile.sizes import Size, product
from bnviz.compile.values import Buffer, Value, View, contiguous

__all__ = ["Call", "Kernel", "Program"]


@dataclass(eq=False)
class Call:
    """A kernel that is no nest of plain loops: one call of a function in `kernels.c`.

    Attributes:
        form: C, with {0}, {1}, ... for pointers to the arrays and B for the size of the batch.
        inputs, outputs: the arrays; outputs come behind inputs in the form.
    """

    form: str
    inputs: list[View]
    outputs: list[View]

    def reads(self) -> list[Buffer]:
        return list(dict.fromkeys(v.buffer for v in self.inputs))

    def writes(self) -> list[Buffer]:
        return list(dict.fromkeys(v.buffer for v in self.outputs))

    def code(self, names: Names) -> str:
        """The call."""
        pointers = [names.pointer(v.buffer, v.offset) for v in self.inputs]
        pointers += [names.pointer(v.buffer, v.offset, write=True) for v in self.outputs]
        return self.form.format(*pointers) + ";"


Kernel = Nest | Call


@dataclass(eq=False)
class Program:
    """Kernels in their order. `ready` tells after how many of them a buffer holds its values."""

    kernels: list[Kernel] = field(default_factory=list)
    ready: dict[Buffer, int] = field(default_factory=dict)
    outputs: dict[str, View] = field(default_factory=dict)
    inputs: dict[str, View] = field(default_factory=dict)

    # --- building --------------------------------------------------------------------------------

    def new(self, shape: Sequence[Size], dtype: torch.dtype, **more) -> View:
        """An array to be written."""
        return contiguous(Buffer(product(shape), dtype, **more), shape)

    def store(self, x: Value) -> View:
        """x in memory; where it is there already, it stays."""
        return x if isinstance(x, View) else self.write(x, self.new(x.shape, x.dtype))

    def packed(self, x: Value) -> View:
        """x in memory, its last index running fastest, without gaps."""
        if isinstance(x, View) and x.is_contiguous:
            return x
        return self.write(x, self.new(x.shape, x.dtype))

    def write(self, x: Value, target: View) -> View:
        """Store x there."""
        index = indices(x.shape)
        self._add(
            Nest(_extents(x.shape), stores=[Store(target.buffer, target.place(index), x.at(index))])
        )
        return target

    def reduce(
        self, x: Value, axes: Sequence[int], operator: str, dtype: torch.dtype, finish: str = "{0}"
    ) -> View:
        """x folded along some axes, which vanish."""
        kept = [size for k, size in enumerate(x.shape) if k not in axes]
        target, index = self.new(kept, dtype), indices(x.shape)
        place = target.place([i for k, i in enumerate(index) if k not in axes])
        reduced = frozenset(n for k in axes for n, _ in index[k].terms)
        total = Sum(target.buffer, place, x.at(index), operator, finish)
        self._add(Nest(_extents(x.shape), reduced, sums=[total]))
        return target

    def call(self, form: str, inputs: list[View], outputs: list[View]) -> None:
        """Add a kernel that is written by hand."""
        self._add(Call(form, inputs, outputs))

    def _add(self, kernel: Kernel) -> None:
        if not isinstance(kernel, Nest) or not self._merged(kernel):
            self.kernels.append(kernel)
            for buffer in kernel.writes():
                self.ready[buffer] = len(self.kernels)

    def _merged(self, nest: Nest) -> bool:
        """Has an earlier nest taken it in?"""
        needed = {b: self.ready.get(b, 0) for b in nest.reads()}
        for k in range(len(self.kernels) - 1, -1, -1):
            earlier = self.kernels[k]
            # what is not there before kernel k must come out of k itself, at the same index
            late = [b for b, ready in needed.items() if ready > k]
            if any(ready > k + 1 for ready in needed.values()):
                return False
            if (
                isinstance(earlier, Nest)
                and set(late) <= set(earlier.writes())
                and earlier.takes(nest)
            ):
                earlier.take(nest)
                for buffer in nest.writes():
                    self.ready[buffer] = max(self.ready.get(buffer, 0), k + 1)
                return True
            if late:
                return False
        return False

    # --- finishing -------------------------------------------------------------------------------

    def prune(self) -> None:
        """Forget what nobody reads."""
        wanted = {v.buffer for v in self.outputs.values()}
        kept: list[Kernel] = []
        for kernel in reversed(self.kernels):
            if isinstance(kernel, Nest):
                kernel.stores = [s for s in kernel.stores if s.buffer in wanted]
                kernel.sums = [s for s in kernel.sums if s.buffer in wanted]
                kernel.reduced = kernel.reduced if kernel.sums else frozenset()
            if not wanted.isdisjoint(kernel.writes()):
                kept.append(kernel)
                wanted.update(kernel.reads())
        self.kernels = kept[::-1]


def _extents(shape: Sequence[Size]) -> dict[str, Size]:
    return {f"i{k}": size for k, size in enumerate(shape) if size.fixed != 1}


def functions(
    programs: dict[str, Program], address: Callable[[Buffer], str]
) -> tuple[list[str], dict[str, list[str]]]:
    """Each different kernel once, as a C function, and the calls that make up each program."""
    known: dict[str, str] = {}
    bodies: list[str] = []
    calls: dict[str, list[str]] = {}
    for name, program in programs.items():
        calls[name] = []
        for kernel in program.kernels:
            names = Names()
            body = kernel.code(names)
            text = f"({names.declared()}) {{\n{body}\n}}"
            if text not in known:
                known[text] = f"k{len(known)}"
                bodies.append(f"static __attribute__((noinline)) void {known[text]}{text}")
            given = [
                f"({C_TYPE[b.dtype]} *)({address(b)}) + ({offset.code()})"
                for b, offset in names.pointers.values()
            ]
            calls[name].append(f"{known[text]}({', '.join(['B', *given])});")
    return bodies, calls
