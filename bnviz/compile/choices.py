"""Choices that are the same for every element, such as the activation that a control chooses.

PyTorch computes all three activations and takes one. Here the condition is looked at once, in front
of the loops, and each branch gets loops of its own that compute what it takes.
"""

from collections.abc import Iterable

from bnviz.compile import expressions as ex
from bnviz.compile.expressions import Expression
from bnviz.compile.values import Buffer

__all__ = ["CHOICE", "chosen", "shared_condition"]

CHOICE = "({0} ? {1} : {2})"
_DEAR = 8  # additions that a branch must cost, or a choice for each element is as fast and shorter


def shared_condition(values: Iterable[Expression], written: set[Buffer]) -> Expression | None:
    """The first condition of a dear choice that no loop changes.

    Args:
        values: what is computed for each element.
        written: the buffers that these loops change.
    """
    seen: dict[int, Expression] = {}
    for value in values:
        ex.parts(value, seen)
    for x in seen.values():
        dear = x.form == CHOICE and max(a.cost for a in x.args[1:]) >= _DEAR
        if dear and _is_steady(x.args[0], written):
            return x.args[0]
    return None


def _is_steady(x: Expression, written: set[Buffer]) -> bool:
    places = [(e.place, e.buffer) for e in ex.parts(x).values() if e.place is not None]
    return not any(p.terms or p.gathered or buffer in written for p, buffer in places)


def chosen(
    x: Expression, condition: Expression, holds: bool, memo: dict[int, Expression]
) -> Expression:
    """x where it is known whether the condition holds."""

    def branch(e: Expression) -> Expression | None:
        if e.form != CHOICE or e.args[0] is not condition:
            return None
        return chosen(e.args[1 if holds else 2], condition, holds, memo)

    return ex.rewritten(x, instead=branch, memo=memo)
