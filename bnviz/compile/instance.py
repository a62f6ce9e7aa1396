"""A compiled module run in Python, by wasmtime: what a page does, without a page."""

from typing import Any, cast

import numpy as np
import torch
import wasmtime
from torch import Tensor

from bnviz.compile.module import Module
from bnviz.compile.sizes import Size

__all__ = ["Instance"]

_FORMAT = {"float": "f4", "double": "f8", "int64_t": "i8", "int32_t": "i4", "uint8_t": "u1"}


class Instance:
    """The functions of a figure, in a memory of their own.

    Args:
        module: what was compiled.

    >>> from bnviz.compile.figure import compile_functions
    >>> from bnviz.compile.trace import Function
    >>> twice = Function("twice", lambda x: {"y": 2 * x}, {"x": torch.tensor([1.0, 2.0])})
    >>> Instance(compile_functions([twice], (1, 1)))("twice", x=torch.tensor([3.0, 4.0]))
    {'y': tensor([6., 8.])}
    """

    def __init__(self, module: Module):
        engine = wasmtime.Engine()
        self.store, self.functions = wasmtime.Store(engine), module.about["functions"]
        self.batches = module.about["batches"]
        instance = wasmtime.Instance(self.store, wasmtime.Module(engine, module.binary), [])
        self.exports = instance.exports(self.store)
        self.memory = cast(wasmtime.Memory, self.exports["memory"])
        self.begin = cast(wasmtime.Global, self.exports["memory_begins"]).value(self.store)
        for at, data in module.data:
            self.memory.write(self.store, data, self.begin + at)

    def __call__(self, name: str, **given: Tensor) -> dict[str, Tensor]:
        """Outputs of a function for some inputs; the number of `rows` is the minibatch.

        Raises:
            ValueError: the minibatch is smaller or larger than the module was made for.
        """
        batch = self.run(name, **given)
        return {k: self._read(a, batch) for k, a in self.functions[name]["outputs"].items()}

    def run(self, name: str, **given: Tensor) -> int:
        """Call a function; its outputs stay where they are, as do inputs that are not given.

        Returns:
            the size of the minibatch, 0 without one.

        Raises:
            ValueError: as a call does.
        """
        batch = len(given["rows"]) if "rows" in given else 0
        least, most = self.batches
        if "rows" in given and not least <= batch <= most:
            raise ValueError(f"a minibatch of {batch}; this figure takes {least} to {most}")
        for key, value in given.items():
            self._write(self.functions[name]["inputs"][key], value, batch)
        cast(wasmtime.Func, self.exports[name])(self.store, batch)
        return batch

    def keep(self, name: str) -> None:
        """The `next_state` of a function becomes the `state` that others begin with."""
        at, shape, dtype = self._where(self.functions[name]["outputs"]["next_state"], 0)
        size = int(np.prod(shape)) * dtype.itemsize
        to, *_ = self._where(self.functions["step"]["inputs"]["state"], 0)
        self.memory.write(self.store, self.memory.read(self.store, at, at + size), to)

    def read(self, name: str, key: str) -> Tensor:
        """An input of a function as it lies there, such as the state that `keep` put."""
        return self._read(self.functions[name]["inputs"][key], 0)

    def _write(self, array: dict[str, Any], value: Tensor, batch: int) -> None:
        at, _, dtype = self._where(array, batch)
        self.memory.write(self.store, value.numpy().astype(dtype).tobytes(), at)

    def _read(self, array: dict[str, Any], batch: int) -> Tensor:
        at, shape, dtype = self._where(array, batch)
        size = int(np.prod(shape)) * dtype.itemsize
        raw = bytes(self.memory.read(self.store, at, at + size))
        return torch.from_numpy(np.frombuffer(raw, dtype).reshape(shape).copy())

    def _where(self, array: dict[str, Any], batch: int) -> tuple[int, tuple[int, ...], np.dtype]:
        shape = tuple(Size(tuple(n)).at(batch) for n in array["shape"])
        return self.begin + array["at"], shape, np.dtype(_FORMAT[array["format"]])
