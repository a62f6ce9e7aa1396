"""From a traced graph to a program: every ATen operation as expressions, nests and calls.

A pointwise operation or a view computes nothing here: it says what an element is. Work is done
where an array is summed, multiplied or sorted, where a value is wanted more than once, and before a
small array is spread over a large one.
"""

import inspect
import operator
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch.fx import GraphModule, Node

from bnviz.compile import creation, folds, lookups, pointwise, products, rows, views
from bnviz.compile import expressions as ex
from bnviz.compile.operations import RULES, Context
from bnviz.compile.program import Program
from bnviz.compile.sizes import product, size_of
from bnviz.compile.values import Buffer, Lazy, Value, View, contiguous, converted, number

__all__ = ["ROOMS", "lower"]

ROOMS = (creation, pointwise, views, folds, rows, lookups, products)  # their import fills RULES
LONG = 64  # computed in one go, without a stop in memory
_ARITHMETIC = {operator.add: "+", operator.sub: "-", operator.mul: "*", operator.truediv: "/"}


def lower(graph: GraphModule, inputs: Sequence[str], outputs: Sequence[str]) -> Program:
    """The program of a graph.

    Args:
        graph: of core ATen operations, one symbolic size at most; nodes carry their values in
            `meta["val"]`.
        inputs, outputs: names in the order of the graph's.

    Raises:
        Unsupported: names the operation and the line of Python that it comes from.
    """
    ex.forget()
    return _Walk(graph, outputs).run(iter(inputs))


class _Walk:
    """Over the nodes of a graph, each of which finds there what its arguments have become."""

    def __init__(self, graph: GraphModule, outputs: Sequence[str]):
        self.graph, self.outputs = graph, outputs
        self.program = Program()
        self.known: dict[Node, Any] = {}
        self.constants: dict[int, Value] = {}

    def run(self, names: Iterator[str]) -> Program:
        for node in self.graph.graph.nodes:
            ctx = Context(node, self.program, self.known)
            if node.op == "placeholder":
                self.known[node] = self._input(node, names)
            elif node.op == "get_attr":
                self.known[node] = self._constant(getattr(self.graph, node.target))
            elif node.op == "output":
                self._output(ctx, node.args[0])
            else:
                self.known[node] = self._shared(node, _call(ctx))
        self.program.prune()
        return self.program

    def _input(self, node: Node, names: Iterator[str]) -> Any:
        found = node.meta["val"]
        if not isinstance(found, torch.Tensor):
            return size_of(found)
        name, shape = next(names), tuple(map(size_of, found.shape))
        # Whole numbers come as 32 bits, which JavaScript has arrays of.
        dtype = torch.int32 if found.dtype == torch.int64 else found.dtype
        view = contiguous(Buffer(product(shape), dtype, "input", name), shape)
        self.program.inputs[name] = view
        return converted(view, found.dtype)

    def _constant(self, tensor: torch.Tensor) -> Value:
        data = tensor.detach().contiguous()
        if data.numel() == 1:
            return number(data.item(), data.dtype, tuple(map(size_of, data.shape)))
        if id(tensor) not in self.constants:
            dtype = data.dtype
            if dtype == torch.int64 and data.numel() and data.abs().max() < 2**31:
                data = data.to(torch.int32)
            shape = tuple(map(size_of, data.shape))
            buffer = Buffer(product(shape), data.dtype, "constant", data=data)
            self.constants[id(tensor)] = converted(contiguous(buffer, shape), dtype)
        return self.constants[id(tensor)]

    def _output(self, ctx: Context, results: Sequence[Node]) -> None:
        for name, node in zip(self.outputs, results, strict=True):
            x = ctx.value(node)
            if isinstance(x, View) and _is_whole(x):
                view = x
                view.buffer.kind, view.buffer.name = "output", name
            else:
                view = self.program.new(x.shape, x.dtype, kind="output", name=name)
                self.program.write(x, view)
            self.program.outputs[name] = view

    def _shared(self, node: Node, x: Any) -> Any:
        """What several others want is stored; so is what has become long."""
        if isinstance(x, Lazy) and x.cost and (len(node.users) > 1 or x.cost > LONG):
            return self.program.store(x)
        return x


def _is_whole(x: View) -> bool:
    """All of a temporary buffer in its own order: it may become an output as it is."""
    own = x.buffer.kind == "temporary" and x.buffer.size == product(x.shape)
    return own and x.is_contiguous and x.offset.fixed == 0


_INSTEAD = {
    "nonzero": "a shape that depends on data is not supported; use torch.where",
    "_local_scalar_dense": "a tensor becomes a Python number here; leave it a tensor",
}


def _call(ctx: Context) -> Any:
    """One operation."""
    node, target = ctx.node, ctx.node.target
    if not isinstance(target, torch._ops.OpOverload):
        return _python(ctx)
    if target._schema.is_mutable and ctx.name not in ("squeeze", "unsqueeze", "transpose", "t"):
        raise ctx.refused("it changes an array in place; write x = x + 1 instead of x += 1")
    if ctx.name not in RULES:
        raise ctx.refused(*[_INSTEAD[ctx.name]] if ctx.name in _INSTEAD else [])
    found = node.meta["val"]
    for x in found if isinstance(found, (tuple, list)) else [found]:
        if isinstance(x, torch.Tensor) and x.dtype not in ex.C_TYPE:
            raise ctx.refused(f"{x.dtype} is not supported; use torch.float32")
    rule = RULES[ctx.name]
    try:
        inspect.signature(rule).bind(ctx, *node.args, **node.kwargs)
    except TypeError as error:
        raise ctx.refused(f"{error}; write it with plainer tensor operations") from None
    try:
        return rule(ctx, *node.args, **node.kwargs)
    except ValueError as error:  # of a size
        raise ctx.refused(str(error)) from None


def _python(ctx: Context) -> Any:
    """Arithmetic on sizes, which Python itself did while the function was traced."""
    node = ctx.node
    args = [ctx.known[a] if isinstance(a, Node) else a for a in node.args]
    if node.target is operator.getitem:
        return cast(Sequence[Any], args[0])[cast(int, args[1])]
    found = node.meta["val"]
    if isinstance(found, (torch.SymInt, int)):
        return size_of(found)
    a, *rest = (ex.cast(ctx.value(x).at(()), torch.float64) for x in args)
    if not rest:  # sym_float
        return a
    return ex.make(f"({{0}} {_ARITHMETIC[node.target]} {{1}})", torch.float64, a, *rest)
