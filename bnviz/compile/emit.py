"""The functions of a figure as one piece of C, and where their numbers go in and out."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bnviz.compile import memory
from bnviz.compile.expressions import C_TYPE
from bnviz.compile.lower import lower
from bnviz.compile.program import Program, functions
from bnviz.compile.sizes import Size, size_of
from bnviz.compile.trace import Function, trace
from bnviz.compile.values import Buffer

__all__ = ["Array", "Source", "emit"]

_KERNELS = Path(__file__).with_name("kernels.c")
_SMALL = 1024  # bytes of a constant that stands in the module itself


@dataclass(frozen=True)
class Array:
    """Where an array lies in the module's memory.

    Attributes:
        at: its first byte, counted from the module's `memory_begins`.
        format: "float", "int32_t", ...
        shape: its axes, each as the coefficients of a polynomial in the size of the minibatch.
    """

    at: int
    format: str
    shape: tuple[tuple[int, ...], ...]


@dataclass
class Source:
    """C of a figure, with all that its caller must know.

    Attributes:
        code: C, to be compiled together with nothing.
        inputs, outputs: function -> name -> where.
        data: arrays that are handed in before the first call, with their places.
        bytes: of the memory that the functions work in.
    """

    code: str
    inputs: dict[str, dict[str, Array]]
    outputs: dict[str, dict[str, Array]]
    data: list[tuple[Array, torch.Tensor]] = field(repr=False)
    bytes: int


class _Room:
    """Memory given out from the bottom up; equal names and equal data get the same place."""

    def __init__(self):
        self.end = 0
        self.named: dict[tuple, int] = {}
        self.data: dict[bytes, tuple[Array, torch.Tensor]] = {}

    def take(self, buffer: Buffer, batch: int) -> int:
        at = self.end
        self.end += memory.bytes_of(buffer, batch)
        return at


def emit(given: Sequence[Function], batches: tuple[int, int]) -> Source:
    """C for some functions of one figure, which share memory for what has the same name.

    Args:
        given: the functions.
        batches: sizes of the smallest and the largest minibatch.
    """
    batch = batches[1]
    programs: dict[str, Program] = {}
    for function in given:
        graph, expected = trace(function, batches)
        programs[function.name] = lower(graph, list(function.arguments), list(expected))
    room = _Room()
    inputs: dict[str, dict[str, Array]] = {}
    outputs: dict[str, dict[str, Array]] = {}
    for name, program in programs.items():
        inputs[name] = {n: _placed(room, n, v, batch) for n, v in program.inputs.items()}
        outputs[name] = {n: _placed(room, f"out {n}", v, batch) for n, v in program.outputs.items()}
    small: dict[bytes, tuple[str, torch.Tensor]] = {}
    addresses: dict[Buffer, str] = {}
    for program in programs.values():
        for buffer in (b for kernel in program.kernels for b in kernel.reads()):
            if buffer.kind == "constant":
                addresses[buffer] = _constant(buffer, room, small, batch)
    begin = room.end
    end = max([memory.plan(program, begin, batch) for program in programs.values()] or [begin])

    def address(buffer: Buffer) -> str:
        return addresses.get(buffer, f"m + {buffer.at}")

    bodies, calls = functions(programs, address)
    constants = [_declared(name, data) for name, data in small.values()]
    room_for = f"__attribute__((aligned(64))) unsigned char memory_begins[{max(end, 64)}];"
    parts = [_KERNELS.read_text(encoding="utf-8"), room_for, "#define m memory_begins", *constants]
    parts += bodies
    for name, lines in calls.items():
        head = f'__attribute__((export_name("{name}"))) void run_{name}(int B) {{'
        parts.append("\n".join([head, *lines, "}"]))
    return Source("\n".join(parts), inputs, outputs, list(room.data.values()), end)


def _placed(room: _Room, name: str, view, batch: int) -> Array:
    """An input's or output's place: another function's, if they are called and look alike."""
    buffer, key = view.buffer, (name, view.dtype, view.shape)
    if key not in room.named:
        room.named[key] = room.take(buffer, batch)
    buffer.at = room.named[key]
    return _array(buffer.at, view.dtype, view.shape)


def _array(at: int, dtype: torch.dtype, shape: Sequence[Size | int]) -> Array:
    return Array(at, C_TYPE[dtype], tuple(size_of(n).coefficients for n in shape))


def _constant(buffer: Buffer, room: _Room, small: dict, batch: int) -> str:
    data = buffer.data
    assert data is not None
    key = bytes(str((data.dtype, tuple(data.shape))), "ascii") + data.numpy().tobytes()
    if data.numel() * data.element_size() <= _SMALL:
        small.setdefault(key, (f"c{len(small)}", data))
        return small[key][0]
    if key not in room.data:
        array = _array(room.take(buffer, batch), data.dtype, data.shape)
        room.data[key] = array, data
    return f"m + {room.data[key][0].at}"


def _declared(name: str, data: torch.Tensor) -> str:
    """A small array in C, its numbers written exactly."""
    numbers = data.flatten()
    if data.dtype.is_floating_point:
        text = ",".join(float(v).hex() if torch.isfinite(v) else _odd(float(v)) for v in numbers)
    else:
        text = ",".join(str(int(v)) for v in numbers)
    return f"static const {C_TYPE[data.dtype]} {name}[] = {{{text}}};"


def _odd(number: float) -> str:
    return "NAN" if number != number else "INFINITY" if number > 0 else "-INFINITY"
