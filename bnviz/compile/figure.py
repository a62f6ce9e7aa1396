"""A figure, compiled: its functions as WebAssembly, checked against PyTorch."""

from collections.abc import Sequence
from dataclasses import asdict, replace

import torch

from bnviz.compile.build import compiled
from bnviz.compile.check import check
from bnviz.compile.emit import emit
from bnviz.compile.instance import Instance
from bnviz.compile.module import Module
from bnviz.compile.trace import Function, function_names, function_of
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Explorer

__all__ = ["compile_figure", "compile_functions"]


def compile_figure(explorer: Explorer) -> Module:
    """All functions of a figure in one module.

    Raises:
        Unsupported: an operation that the compiler does not know.
        RuntimeError: the module computes something else than PyTorch.
        ValueError: an output is not float32, which is all that a page draws.
    """
    functions = [function_of(explorer, name) for name in function_names(explorer)]
    module = compile_functions(functions, _batches(explorer))
    for name, function in module.about["functions"].items():
        for output, array in function["outputs"].items():
            if array["format"] != "float":
                raise ValueError(f"{output} of {name} is {array['format']}: make it float32")
    for function in functions:
        check(_fitting(function, *_batches(explorer)), Instance(module))
    return module


def _fitting(function: Function, least: int, most: int) -> Function:
    """The function with a minibatch that the slider can give."""
    given = function.arguments
    if "rows" not in given or least <= len(given["rows"]) <= most:
        return function
    return replace(function, arguments={**given, "rows": torch.arange(least)})


def compile_functions(functions: Sequence[Function], batches: tuple[int, int]) -> Module:
    """Some functions in one module; they share memory for what is called alike and looks alike.

    Args:
        functions: with different names.
        batches: sizes of the smallest and the largest minibatch.
    """
    made = emit(functions, batches)
    described = {
        name: {
            "inputs": {k: asdict(v) for k, v in made.inputs[name].items()},
            "outputs": {k: asdict(v) for k, v in outputs.items()},
        }
        for name, outputs in made.outputs.items()
    }
    about = {"functions": described, "batches": list(batches)}
    data = [(array.at, tensor.numpy().tobytes()) for array, tensor in made.data]
    return Module(compiled(made.code), about, data)


def _batches(explorer: Explorer) -> tuple[int, int]:
    """The smallest and the largest minibatch: the ends of the slider."""
    for control in explorer.controls:
        if control.name == "batch" and isinstance(control, Slider):
            return int(control.min), int(control.max)
    return 1, 1
