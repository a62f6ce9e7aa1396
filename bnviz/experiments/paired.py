"""Two conditions of a stored experiment compared, seed by seed."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from bnviz.experiments.experiment import Row
from bnviz.experiments.statistics import Effect, effect

__all__ = ["paired_effects"]


def paired_effects(
    rows: Iterable[Row],
    axes: Iterable[str],
    *,
    by: Mapping[str, Sequence],
    values: Sequence[str],
    each: Sequence[str] = (),
    where: Mapping[str, Any] | None = None,
    less: bool = False,
    ratio: bool = False,
    missing: float | None = None,
) -> dict[str, Effect]:
    """One effect for each condition, and for each yardstick.

    Args:
        rows: of the experiment, as stored.
        axes: the names of its grid; those not named below tell the pairs, such as the seed.
        by: one axis -> (ours, theirs), or several axes with such a pair each.
        values: columns to compare, yardsticks for the same thing; `late.2` is the third of a list.
        each: axes of which every combination of values is a condition of its own.
        where: axis -> the value, or the list of values, that rows must have.
        less: whether ours is claimed to be smaller; the difference is theirs less ours then.
        ratio: compare logarithms, so that exp of the effect is a factor.
        missing: what a number counts as that is not there, because the run diverged.

    Returns:
        condition in words -> effect, `all` where there is one only.

    Raises:
        ValueError: an unknown axis, a pair with one side only, a missing number that counts as
            nothing, or no rows at all.
    """
    axes = list(axes)
    if unknown := {*by, *each, *(where or {})} - set(axes):
        raise ValueError(f"the experiment has no axes {sorted(unknown)}; there are {axes}")
    chosen = [row for row in rows if _fits(row, where or {})]
    tells = [axis for axis in axes if axis not in by and axis not in each]
    found = {}
    for value in values:
        for condition in dict.fromkeys(tuple(row[a] for a in each) for row in chosen):
            of = [row for row in chosen if tuple(row[a] for a in each) == condition]
            sides = [_side(of, by, side, tells, value, missing) for side in (0, 1)]
            if sides[0].keys() != sides[1].keys() or not sides[0]:
                raise ValueError(
                    f"{by}: {len(sides[0])} runs against {len(sides[1])} make no pairs"
                )
            pairs = [(sides[0][key], sides[1][key]) for key in sides[0]]
            if ratio:
                pairs = [(math.log(a), math.log(b)) for a, b in pairs]
            ours, theirs = zip(*(p[::-1] if less else p for p in pairs), strict=True)
            name = _name(each, condition, value if len(values) > 1 else "")
            found[name] = effect(ours, theirs)
    if not found:
        raise ValueError(f"no row has {dict(where or {})}")
    return found


def _fits(row: Row, where: Mapping[str, Any]) -> bool:
    return all(row[a] in (v if isinstance(v, list) else [v]) for a, v in where.items())


def _side(
    rows: Iterable[Row],
    by: Mapping[str, Sequence],
    side: int,
    tells: Sequence[str],
    value: str,
    missing: float | None,
) -> dict[tuple, float]:
    """What identifies a run -> its number, of the runs on one side."""
    return {
        tuple(row[a] for a in tells): _number(row, value, missing)
        for row in rows
        if all(row[axis] == pair[side] for axis, pair in by.items())
    }


def _number(row: Row, value: str, missing: float | None) -> float:
    name, _, index = value.partition(".")
    if name not in row:
        raise ValueError(f"a row has no {name!r}; it has {sorted(row)}")
    number = row[name]
    if index and number is not None:
        number = number[int(index)]
    if number is None:
        if missing is None:
            raise ValueError(f"{value!r} is missing in a run: say what it counts as (`missing`)")
        return missing
    return float(number)


def _name(each: Sequence[str], condition: tuple, value: str) -> str:
    """Such as "relu, rate 0.1": words speak for themselves, numbers say of what."""
    words = [
        v if isinstance(v, str) else f"{a} {v:g}" for a, v in zip(each, condition, strict=True)
    ]
    return ", ".join([*words, *([value] if value else [])]) or "all"
