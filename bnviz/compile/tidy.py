"""A traced graph with fewer and cheaper nodes, and the same numbers.

A small network's step is some hundred operations on small arrays, so the number of nodes counts as
much as what they compute. onnxruntime merges and folds constants by itself; here stands what it
leaves: detours of autograd, views that change nothing, powers that are products, and arrays that
are widened before an operation which would widen them itself.
"""

from typing import cast

import torch
from torch.fx import GraphModule, Node

__all__ = ["tidy"]

_aten = torch.ops.aten
_SAME = (_aten.detach.default, _aten.alias.default)
_VIEWS = (_aten.view.default, _aten._unsafe_view.default, _aten.reshape.default)
_BINARY = (
    *(_aten.add.Tensor, _aten.sub.Tensor, _aten.mul.Tensor, _aten.div.Tensor),
    *(_aten.mul.Scalar, _aten.div.Scalar),
)


def tidy(traced: GraphModule) -> None:
    """Simplify a graph of core ATen operators in place; nodes carry their fake tensors as "val"."""
    for node in traced.graph.nodes:
        if node.target in _SAME or (node.target in _VIEWS and _shape(node) == _shape(node.args[0])):
            node.replace_all_uses_with(node.args[0])
        elif node.target == _aten.pow.Tensor_Scalar and node.args[1] in (1, 2):
            node.replace_all_uses_with(_product(node))
        elif node.target in _BINARY:
            _widen_late(node)
    traced.graph.eliminate_dead_code()
    traced.recompile()


def _shape(node: object) -> tuple | None:
    """The shape of a node's tensor; symbolic sizes are equal when they are the same symbol."""
    value = node.meta.get("val") if isinstance(node, Node) else None
    return tuple(map(str, value.shape)) if isinstance(value, torch.Tensor) else None


def _product(power: Node) -> Node:
    """x ** 2 as x * x, and x ** 1 as x: a power takes ten times as long."""
    x, exponent = power.args
    if exponent == 1:
        return cast(Node, x)
    return _new(power, _aten.mul.Tensor, (x, x), power)


def _widen_late(node: Node) -> None:
    """op(expand(a), b) as op(a, b) if b is as wide; as expand(op(a, b)) if b is one number."""
    for at, other in ((0, 1), (1, 0)):
        wide, b = node.args[at], node.args[other]
        if not (isinstance(wide, Node) and wide.target == _aten.expand.default):
            continue
        a = cast(Node, wide.args[0])
        args = (a, b) if at == 0 else (b, a)
        if _shape(b) == _shape(node):
            node.args = args
        elif not isinstance(b, Node) or _shape(b) in (None, ()):
            small = _new(node, node.target, args, a)
            node.replace_all_uses_with(
                _new(node, _aten.expand.default, (small, *wide.args[1:]), node)
            )
        return


def _new(before: Node, target, args: tuple, like: Node) -> Node:
    """Another node, ahead of one, whose tensor looks like that of a third."""
    with before.graph.inserting_before(before):
        made = before.graph.call_function(target, args)
    made.meta = dict(like.meta)
    return made
