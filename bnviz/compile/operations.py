"""Which function lowers which ATen operation, and what such a function, a rule, is told.

    @operation("neg")
    def negative(ctx: Context, x) -> Value:
        return mapped("(-{0})", ctx.dtype, ctx.shape, [ctx.value(x)], cost=1)

A rule gets the operation's own arguments behind its context. Rules stand in rooms, by what they do:
`creation`, `pointwise`, `views`, `folds`, `rows`, `lookups`, `products`.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from traceback import FrameSummary
from typing import Any

import torch
from torch.fx import Node

from bnviz.compile import expressions as ex
from bnviz.compile.program import Program
from bnviz.compile.sizes import Size, product, size_of
from bnviz.compile.trace import line_of
from bnviz.compile.values import Lazy, Value, View, number, spread

__all__ = ["RULES", "Context", "Rule", "Unsupported", "name_of", "operation"]

CHEAP = 1  # what may be computed again for every element of a larger array


class Unsupported(NotImplementedError):
    """An operation that cannot be compiled; the message says which, where, and what to do."""


@dataclass(frozen=True)
class Context:
    """One operation of a graph, and all that comes before it.

    Attributes:
        node: the operation.
        program: to which its rule adds kernels, if an expression is not enough.
        known: what the nodes before it have become.
    """

    node: Node
    program: Program
    known: dict[Node, Any]

    @property
    def name(self) -> str:
        """What the operation is called."""
        return name_of(self.node.target)

    @property
    def shape(self) -> tuple[Size, ...]:
        """Of the result."""
        return tuple(map(size_of, self.node.meta["val"].shape))

    @property
    def dtype(self) -> torch.dtype:
        """Of the result."""
        return self.node.meta["val"].dtype

    def value(self, x: Any, dtype: torch.dtype | None = None) -> Value:
        """An argument as an array; a Python number is one without axes, of that format."""
        if isinstance(x, Node):
            x = self.known[x]
        if isinstance(x, (View, Lazy)):
            return x
        if isinstance(x, Size):
            return Lazy((), torch.int64, lambda _: ex.value(ex.at_number(x)))
        if isinstance(x, ex.Expression):
            return Lazy((), x.dtype, lambda _: x)
        kind = torch.bool if isinstance(x, bool) else torch.int64 if isinstance(x, int) else None
        return number(x, dtype or kind or torch.float32)

    def size(self, x: Any) -> Size:
        """An argument as a length."""
        return self.known[x] if isinstance(x, Node) else size_of(x)

    def spread(self, x: Value, shape: Sequence[Size]) -> Value:
        """x for an operation on arrays of a shape; what costs something is computed once."""
        if tuple(x.shape) == tuple(shape):
            return x
        if isinstance(x, Lazy) and x.cost > CHEAP and product(x.shape) != product(shape):
            x = self.program.store(x)
        return spread(x, shape)

    def refused(self, remedy: str = "write it with plainer tensor operations") -> Unsupported:
        """The error to raise, for what the rule cannot do."""
        frames = re.findall(r'File "(.*)", line (\d+), in (.*)\n(.*)', self.node.stack_trace or "")
        where = line_of(
            FrameSummary(file, int(number), name, line=line.strip())
            for file, number, name, line in frames
        )
        return Unsupported(f"{self.node.target} cannot be compiled ({where}): {remedy}")


Rule = Callable[..., Any]
RULES: dict[str, Rule] = {}


def operation(*names: str) -> Callable[[Rule], Rule]:
    """Register a function as the rule for the ATen operations of these names."""

    def register(rule: Rule) -> Rule:
        for name in names:
            assert name not in RULES, f"{name} has a rule already"
            RULES[name] = rule
        return rule

    return register


def name_of(target: Any) -> str:
    """aten.add.Tensor and aten.add_.Tensor -> "add"; aten.__rshift__.Scalar keeps all of it."""
    name = str(target).removeprefix("aten.").split(".")[0]
    return name if name.startswith("__") else name.rstrip("_")
