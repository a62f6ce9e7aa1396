"""A figure, compiled: its functions as WebAssembly, checked against PyTorch."""

import json
from dataclasses import asdict, dataclass
from typing import Any

import torch

from bnviz.compile.build import compiled
from bnviz.compile.instance import Instance
from bnviz.compile.module import Source, source
from bnviz.compile.trace import Function, function_names, function_of
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Explorer

__all__ = ["Module", "compile_figure"]


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


def compile_figure(explorer: Explorer) -> Module:
    """All functions of a figure in one module.

    Raises:
        Unsupported: an operation that the compiler does not know.
        RuntimeError: the module computes something else than PyTorch; ValueError: an output is not
            float32, which is all that a page draws.
    """
    functions = [function_of(explorer, name) for name in function_names(explorer)]
    least, most = _batches(explorer)
    made = source(functions, most)
    binary = compiled(made.code)
    for function in functions:
        _check(function, Instance(made, binary))
    about = {"functions": _described(made), "batches": [least, most]}
    data = [(array.at, tensor.numpy().tobytes()) for array, tensor in made.data]
    return Module(binary, about, data)


def _batches(explorer: Explorer) -> tuple[int, int]:
    """The smallest and the largest minibatch: the ends of the slider."""
    for control in explorer.controls:
        if control.name == "batch" and isinstance(control, Slider):
            return int(control.min), int(control.max)
    return 1, 1


def _described(made: Source) -> dict[str, Any]:
    """Where each function's numbers go in and out."""
    found = {}
    for name, outputs in made.outputs.items():
        for output, array in outputs.items():
            if array.format != "float":
                raise ValueError(f"{output} of {name} is {array.format}: make it float32")
        inputs = made.inputs[name]
        found[name] = {
            "inputs": {k: asdict(v) for k, v in inputs.items()},
            "outputs": {k: asdict(v) for k, v in outputs.items()},
        }
    return found


def _check(function: Function, instance: Instance) -> None:
    """Raise RuntimeError unless the module gives PyTorch's numbers, at least for these inputs."""
    with torch.no_grad():
        wanted = function.call(*function.arguments.values())
    found = instance(function.name, **function.arguments)
    for name, value in wanted.items():
        got = found[name]
        if not torch.allclose(got, value.detach(), rtol=1e-3, atol=1e-4, equal_nan=True):
            gap = (got - value).abs().max()
            raise RuntimeError(
                f"{function.name} as compiled computes another {name} than PyTorch (largest "
                f"difference {gap:.1e}): write the function with plainer tensor operations"
            )
