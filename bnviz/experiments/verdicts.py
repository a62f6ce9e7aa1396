"""How a verdict follows from effects: by a rule that is stated first and can say no."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bnviz.experiments.statistics import Effect

__all__ = ["VERDICTS", "Verdict", "better"]

VERDICTS = ("holds", "holds when", "not supported here", "cannot be decided")


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
        return Verdict(
            "cannot be decided",
            f"the best {' and '.join(edges)} lies at an edge of its range",
        )
    above = [name for name, e in effects.items() if e.low > margin]
    below = [name for name, e in effects.items() if e.high < margin]
    if len(above) == len(effects):
        return Verdict("holds", "under every condition tried")
    if above:
        return Verdict("holds when", f"with {', '.join(above)}; not shown for the other conditions")
    if len(below) == len(effects):
        return Verdict("not supported here", "the effect is below the margin in every condition")
    return Verdict("cannot be decided", "the intervals lie on both sides of the margin")
