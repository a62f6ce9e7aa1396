"""Where everything lies: buffers whose lives do not overlap share memory."""

from bnviz.compile.expressions import C_TYPE
from bnviz.compile.program import Program
from bnviz.compile.values import Buffer

__all__ = ["BYTES", "plan"]

BYTES = {"float": 4, "double": 8, "int64_t": 8, "int32_t": 4, "uint8_t": 1}
_ALIGNED = 16


def bytes_of(buffer: Buffer, batch: int) -> int:
    """How much memory a buffer takes for the largest batch, in whole steps of alignment."""
    found = buffer.size.at(batch) * BYTES[C_TYPE[buffer.dtype]]
    return -(-max(found, 1) // _ALIGNED) * _ALIGNED


def plan(program: Program, first: int, batch: int) -> int:
    """Give every temporary buffer of a program its place, from byte `first` on.

    The largest buffers choose first, and take the lowest gap among those that live when they do.

    Returns:
        the byte behind the last one.
    """
    lives: dict[Buffer, list[int]] = {}
    for k, kernel in enumerate(program.kernels):
        for buffer in (*kernel.reads(), *kernel.writes()):
            if buffer.kind == "temporary":
                lives.setdefault(buffer, [k, k])[1] = k
    placed: list[Buffer] = []
    end = first
    for buffer in sorted(lives, key=lambda b: -bytes_of(b, batch)):
        begin, last = lives[buffer]
        beside = [b for b in placed if lives[b][0] <= last and begin <= lives[b][1]]
        at = first
        for other in sorted(beside, key=lambda b: b.at):
            if at + bytes_of(buffer, batch) <= other.at:
                break
            at = max(at, other.at + bytes_of(other, batch))
        buffer.at = at
        placed.append(buffer)
        end = max(end, at + bytes_of(buffer, batch))
    return end
