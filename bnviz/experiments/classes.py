"""How a training run ended, from three numbers of its loss curve: the criteria, written down.

The loss is measured on fixed training images every few steps, so that it jumps only when the
network does, not because the next minibatch is a harder one. Three numbers describe its end:

    end      median over the last quarter of the run
    before   median over the quarter before
    spread   (90th - 10th percentile) / median, over the last quarter

and a run is, in this order,

    diverged      not finite at some step, or still running away: end > 2 before, and > 2 ln 10
    converged     end < 0.5
    oscillating   spread > 0.25, and its level has fallen by less than half of what it jumps
    stuck         spread <= 0.25, end > 0.9 ln 10: flat, no better than guessing among ten classes
    slow          the rest: on its way
"""

import math
from dataclasses import dataclass, replace

from bnviz.experiments.experiment import Row

__all__ = ["CLASSES", "Criteria", "borderline", "classify"]

CLASSES = ("converged", "slow", "stuck", "oscillating", "diverged")
GUESSING = math.log(10)


@dataclass(frozen=True)
class Criteria:
    """The thresholds above.

    converged: loss. stuck: share of ln 10. spread: relative. progress: share of the jumps.
    """

    converged: float = 0.5
    stuck: float = 0.9
    spread: float = 0.25
    progress: float = 0.5


def classify(row: Row, criteria: Criteria = Criteria()) -> str:
    """One of `CLASSES`. `row` holds "end", "before", "spread"; None where the loss was not finite.

    >>> classify({"end": 2.30, "before": 2.31, "spread": 0.02})
    'stuck'
    >>> classify({"end": 8.1, "before": 7.9, "spread": 0.6})
    'oscillating'
    """
    end, before, spread = row["end"], row["before"], row["spread"]
    if end is None or before is None or end > 2 * max(before, GUESSING):
        return "diverged"
    if end < criteria.converged:
        return "converged"
    if spread > criteria.spread:
        return "slow" if before - end > criteria.progress * spread * end else "oscillating"
    return "stuck" if end > criteria.stuck * GUESSING else "slow"


def borderline(row: Row) -> bool:
    """Whether the class changes when one threshold moves.

    Each by a factor of 1.5 either way; the share of ln 10 to 0.8 and to 0.95.
    """
    usual = Criteria()
    moved = [replace(usual, stuck=share) for share in (0.8, 0.95)]
    for name in ("converged", "spread", "progress"):
        moved += [replace(usual, **{name: getattr(usual, name) * f}) for f in (1 / 1.5, 1.5)]
    return len({classify(row, criteria) for criteria in (usual, *moved)}) > 1
