"""How a verdict follows from data: by a rule that is stated first and can say no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnviz.experiments.statistics import Effect

__all__ = ["VERDICTS", "Verdict", "better", "together", "within"]

HOLDS, WHEN, NO, OPEN, WRONG, ANSWERED, CANNOT = VERDICTS = (
    "holds",
    "holds when",
    "not supported here",
    "cannot be decided",
    "error found",
    "answered",
    "cannot be measured here",
)


@dataclass(frozen=True)
class Verdict:
    """One of `VERDICTS`, and the numbers behind it in a sentence."""

    word: str
    because: str


def better(effects: Mapping[str, Effect], margin: float, edges: Sequence[str] = ()) -> Verdict:
    """Is ours better by more than a margin, whatever was chosen along the way?

    holds: the whole interval lies above the margin under every condition. holds when: under some
    of them. not supported here: it lies below the margin, whole, under every condition. All else,
    and a best value at the edge of what was tried, cannot be decided.

    Args:
        effects: condition (a budget, a threshold) -> effect, at least one.
        margin: what a reader would notice, in the unit of the effect, at least 0.
        edges: settings whose best value lay at the edge of their range.

    Raises:
        ValueError: no condition, or a margin below 0.

    >>> better({"600 steps": Effect(0.2, 0.1, 0.3, 9, 1, 0.02)}, margin=0.01).word
    'holds'
    """
    if not effects or margin < 0:
        raise ValueError(f"a rule needs an effect and a margin >= 0, got {len(effects)}, {margin}")
    if edges:
        return Verdict(OPEN, f"the best {' and '.join(edges)} lies at an edge of its range")
    above = [name for name, e in effects.items() if e.low > margin]
    below = [name for name, e in effects.items() if e.high < margin]
    if len(above) == len(effects):
        return Verdict(HOLDS, "under every condition tried" if len(above) > 1 else "")
    if above:
        return Verdict(WHEN, f"with {'; '.join(above)}; not shown for the other conditions")
    if len(below) == len(effects):
        several = "in every condition" if len(below) > 1 else ""
        return Verdict(NO, f"the effect is below the margin {several}".strip())
    return Verdict(OPEN, "the intervals lie on both sides of the margin")


def within(
    values: Mapping[str, Sequence[float]],
    low: float = float("-inf"),
    high: float = float("inf"),
    fails: str = NO,
) -> Verdict:
    """Do measured numbers lie between two limits, both included?

    holds: all of them. holds when: all numbers of some names. Else it fails.

    Args:
        values: name -> numbers, at least one of each.
        low, high: the limits; at least one of them is finite.
        fails: what a failure means: NO, or WRONG where a proof or the source itself decides.

    Raises:
        ValueError: no number, no limit, or limits that nothing can meet.

    >>> within({"largest difference": [1e-13]}, high=1e-12).word
    'holds'
    """
    if not values or not all(values.values()):
        raise ValueError("a rule needs numbers to judge")
    if not low <= high or (low, high) == (float("-inf"), float("inf")):
        raise ValueError(f"no number can fail, or none can pass, {low} to {high}: mend the limits")
    inside = [name for name, of in values.items() if all(low <= v <= high for v in of)]
    if len(inside) == len(values):
        return Verdict(HOLDS, "")
    if inside:
        return Verdict(WHEN, f"for {', '.join(inside)}; not for the others")
    return Verdict(fails, "the numbers lie outside the limits")


def together(words: Sequence[str], question: bool = False) -> str:
    """The verdict on a claim, from those on its parts.

    An error found anywhere is the verdict. What cannot be measured is left out where something
    can. Then: holds if every part does; holds when, if some do; else not supported here, if one is
    not; else it cannot be decided. A question is answered where a statement would hold, or hold
    when.

    Raises:
        ValueError: no part, or a word that is no verdict.

    >>> together(["holds", "cannot be decided"])
    'holds when'
    """
    if not words or set(words) - set(VERDICTS):
        raise ValueError(f"verdicts of parts are some of {VERDICTS}, got {list(words)}")
    if WRONG in words:
        return WRONG
    known = [word for word in words if word != CANNOT]
    if not known:
        return CANNOT
    if all(word == HOLDS for word in known):
        return ANSWERED if question else HOLDS
    if any(word in (HOLDS, WHEN) for word in known):
        return ANSWERED if question else WHEN
    return NO if NO in known else OPEN
