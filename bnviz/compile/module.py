"""A figure's functions as a page gets them: WebAssembly, where numbers go, and data."""

import json
from dataclasses import dataclass
from typing import Any

__all__ = ["Module"]


@dataclass(frozen=True)
class Module:
    """The functions of a figure for a page.

    Attributes:
        binary: WebAssembly.
        about: JSON-able: `functions`, name -> `inputs` and `outputs`, name -> where and what; and
            `batches`, the sizes of the smallest and the largest minibatch.
        data: arrays to be put into its memory first: byte where one goes, its bytes.
    """

    binary: bytes
    about: dict[str, Any]
    data: list[tuple[int, bytes]]

    def packed(self) -> bytes:
        """All of it in one piece."""
        sizes = [(at, len(part)) for at, part in self.data]
        head = json.dumps([self.about, len(self.binary), sizes]).encode()
        parts = [len(head).to_bytes(4, "little"), head, self.binary, *(p for _, p in self.data)]
        return b"".join(parts)

    @classmethod
    def unpacked(cls, content: bytes) -> "Module":
        """The inverse of `packed`."""
        begin = 4 + int.from_bytes(content[:4], "little")
        about, length, sizes = json.loads(content[4:begin])
        binary, begin = content[begin : begin + length], begin + length
        data = []
        for at, size in sizes:
            data.append((at, content[begin : begin + size]))
            begin += size
        return cls(binary, about, data)
