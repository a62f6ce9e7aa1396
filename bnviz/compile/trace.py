"""A figure's functions as graphs of plain tensor operations, their gradients included.

`make_fx` runs the function once and notes every operation, those of autograd's backward pass too;
the size of the minibatch stays a symbol. The functions of a figure get whole vectors: `controls`,
the numbers of all controls, and `state`, everything that a network learns and tracks.
"""

import traceback
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from traceback import FrameSummary, StackSummary
from typing import TYPE_CHECKING, Any, cast

import sympy
import torch
from torch import Tensor
from torch.fx import GraphModule

from bnviz.figure.explorer import Explorer, Simulation
from bnviz.maths.functional import State

if TYPE_CHECKING:
    from torch.fx.experimental.symbolic_shapes import ShapeEnv

__all__ = ["Function", "Layout", "function_names", "function_of", "layout_of", "line_of", "trace"]

_ODD = 23  # rows of the traced minibatch: not the length of another axis, which would be tied to it


@dataclass(frozen=True)
class Layout:
    """Where each tensor of a state stands in the packed vector: names and shapes in order."""

    shapes: dict[str, tuple[int, ...]]

    def pack(self, state: State) -> Tensor:
        """state -> (n,), float32."""
        return torch.cat([state[name].reshape(-1) for name in self.shapes])

    def unpack(self, vector: Tensor) -> State:
        """(n,) -> state."""
        parts = vector.split([prod(shape) for shape in self.shapes.values()])
        return {
            name: part.reshape(shape)
            for part, (name, shape) in zip(parts, self.shapes.items(), strict=True)
        }


def layout_of(simulation: Simulation) -> Layout:
    """The layout of a Simulation's state."""
    state = simulation.initial(torch.tensor(0.0), **simulation.tensors({}))
    return Layout({name: tuple(value.shape) for name, value in state.items()})


@dataclass(frozen=True)
class Function:
    """A function of vectors that a page runs, with arguments to trace it with.

    Attributes:
        name: "compute", "initial", "step" or "observe".
        call: tensors -> outputs by name; of a Simulation, "next_state" is one of them.
        arguments: name -> example.
    """

    name: str
    call: Callable[..., State]
    arguments: dict[str, Tensor]


def function_names(explorer: Explorer) -> tuple[str, ...]:
    """The functions of a figure: `compute`, or those of a Simulation."""
    if not isinstance(explorer, Simulation):
        return ("compute",)
    return ("initial", "step", "observe") if explorer.observe else ("initial", "step")


def function_of(explorer: Explorer, name: str) -> Function:
    """One function of a figure.

    `compute`: controls -> outputs. `initial`: (seed, controls) -> next_state. `step`: (state, rows,
    controls) -> next_state and outputs. `observe`: (state, controls) -> outputs.

    Raises:
        ValueError: for a name that `function_names` does not list.
    """
    if name not in function_names(explorer):
        raise ValueError(f"{explorer.name} has {function_names(explorer)}, not {name!r}")
    controls = torch.tensor(list(explorer.numbers({}).values()))

    def by_name(vector: Tensor) -> dict[str, Tensor]:
        return dict(zip((c.name for c in explorer.controls), vector.unbind(), strict=True))

    if not isinstance(explorer, Simulation):
        compute = cast(Callable[..., State], explorer.compute)
        return Function(name, lambda c: compute(**by_name(c)), {"controls": controls})

    layout = layout_of(explorer)

    def initial(seed: Tensor, vector: Tensor) -> State:
        return {"next_state": layout.pack(explorer.initial(seed.reshape(()), **by_name(vector)))}

    def step(packed: Tensor, rows: Tensor, vector: Tensor) -> State:
        new, outputs = explorer.step(layout.unpack(packed), rows, **by_name(vector))
        return {"next_state": layout.pack(new), **outputs}

    def observe(packed: Tensor, vector: Tensor) -> State:
        return cast(Callable[..., State], explorer.observe)(
            layout.unpack(packed), **by_name(vector)
        )

    seed = torch.tensor([0.0])
    if name == "initial":
        return Function(name, initial, {"seed": seed, "controls": controls})
    state = initial(seed, controls)["next_state"]
    if name == "observe":
        return Function(name, observe, {"state": state, "controls": controls})
    rows = torch.arange(_ODD)
    return Function(name, step, {"state": state, "rows": rows, "controls": controls})


def trace(
    function: Function, batches: tuple[int, int] | None = None
) -> tuple[GraphModule, dict[str, Tensor]]:
    """The graph of a function, and the outputs for its example arguments, in the graph's order.

    Only the number of `rows` is a symbol; all other sizes are the numbers that they are.

    Args:
        function: what to trace.
        batches: the smallest and the largest number of rows for which the graph has to be right.

    Raises:
        ValueError: the function ties the number of rows to another size, or asks for its value, or
            for that of a tensor; or it does something else for some of the minibatches.
    """
    from torch._decomp import core_aten_decompositions
    from torch._subclasses.fake_tensor import FakeTensorMode
    from torch.fx.experimental.proxy_tensor import make_fx
    from torch.fx.experimental.symbolic_shapes import (
        DimDynamic,
        GuardOnDataDependentSymNode,
        ShapeEnv,
        StatelessSymbolicContext,
        constrain_range,
    )

    args = tuple(function.arguments.values())
    # before the trace, so that cached data and modules exist when it begins
    with torch.no_grad():
        expected = {k: v.detach() for k, v in function.call(*args).items()}
    shapes = ShapeEnv()
    mode = FakeTensorMode(shape_env=shapes, allow_non_fake_inputs=True)
    fakes = []
    for name, value in function.arguments.items():
        kind = DimDynamic.DYNAMIC if name == "rows" else DimDynamic.STATIC
        sizes = StatelessSymbolicContext(dynamic_sizes=[kind] * value.ndim)
        fakes.append(mode.from_tensor(value, symbolic_context=sizes))
        if name == "rows" and batches:  # so that the smaller of 4 and the number of rows is 4
            constrain_range(
                fakes[-1].shape[0], min=min(batches[0], _ODD), max=max(batches[1], _ODD)
            )
    make = make_fx(
        lambda *given: tuple(function.call(*given).values()),
        decomposition_table=cast(dict[Any, Any], core_aten_decompositions()),
        _allow_non_fake_inputs=True,  # the data that a function closes over
        record_stack_traces=True,
    )
    try:
        with warnings.catch_warnings(), _lines_noted(), mode:
            warnings.simplefilter("ignore")
            graph = make(*fakes)
    except GuardOnDataDependentSymNode as error:
        where = line_of(traceback.extract_tb(error.__traceback__))
        raise ValueError(
            f"{function.name} asks for the value of a tensor while it is traced ({where}): use "
            "torch.where instead of if, and tensors instead of Python numbers"
        ) from None
    for node, name in zip(_placeholders(graph), function.arguments, strict=True):
        if name == "rows" and _is_number(node.meta["val"].shape[0], shapes):
            raise ValueError(
                f"{function.name} works for {_ODD} rows only: it compares their number with "
                "another size, or turns it into a Python number; use operations on tensors instead"
            )
    for rows in range(batches[0], batches[1] + 1) if batches else ():
        for condition in {g.expr for g in shapes.guards}:
            if condition.subs(dict.fromkeys(condition.free_symbols, rows)) == sympy.false:
                raise ValueError(
                    f"{function.name} does something else for a minibatch of {rows} than for one "
                    f"of {_ODD} (it relies on {condition}): take no fixed number of rows, or "
                    "change the ends of the slider"
                )
    graph.graph.eliminate_dead_code()
    return graph, expected


@contextmanager
def _lines_noted() -> Iterator[None]:
    """Nodes get the line of Python that they come from; make_fx itself keeps those of modules."""
    from torch.fx.experimental.proxy_tensor import PythonKeyTracer

    def innermost(self: PythonKeyTracer, user_stack_summary: StackSummary) -> StackSummary:
        return StackSummary.from_list(_interesting(user_stack_summary)[-1:])

    before = PythonKeyTracer._filter_traceback_frames
    PythonKeyTracer._filter_traceback_frames = innermost
    try:
        yield
    finally:
        PythonKeyTracer._filter_traceback_frames = before


def line_of(frames: Iterable[FrameSummary]) -> str:
    """The innermost line of Python that is neither PyTorch's nor the compiler's own."""
    found = _interesting(frames)
    return (
        f"{found[-1].filename}:{found[-1].lineno}: {found[-1].line}" if found else "no line known"
    )


def _interesting(frames: Iterable[FrameSummary]) -> list[FrameSummary]:
    torch_, own = str(Path(torch.__file__).parent), str(Path(__file__).parent)
    return [f for f in frames if f.line and not f.filename.startswith((torch_, own))]


def _placeholders(graph: GraphModule):
    found = [node for node in graph.graph.nodes if node.op == "placeholder"]
    return [node for node in found if isinstance(node.meta.get("val"), Tensor)]


def _is_number(size: int | torch.SymInt, shapes: "ShapeEnv") -> bool:
    """Has the trace found out what a symbolic size is?"""
    return isinstance(size, int) or shapes.simplify(size.node.expr).is_number
