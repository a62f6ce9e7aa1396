"""A row of the benchmark: two sides measured in turns, their ratio, and the target."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

__all__ = ["Row", "in_ms", "in_turns", "percentile", "seconds"]

Turns = tuple[float, ...]  # one number per turn


@dataclass(frozen=True)
class Row:
    """One comparison.

    Args:
        group: heading under which it stands.
        what: what is measured, with its sizes.
        against: the other side.
        unit: of both sides, such as "ms".
        ours: our side, one number per turn.
        theirs: the other side, turn by turn; empty if there is only a target.
        faster: "less" if small numbers are good, else "more".
        target: of the ratio ours / theirs, or of ours where there is no other side: the most it
            may be if small numbers are good, else the least.
        more: further numbers that belong to it, by name.
    """

    group: str
    what: str
    against: str
    unit: str
    ours: tuple[float, ...]
    theirs: tuple[float, ...] = ()
    faster: str = "less"
    target: float | None = None
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def ratios(self) -> tuple[float, ...]:
        """ours / theirs, turn by turn; ours alone if there is no other side."""
        if not self.theirs:
            return self.ours
        return tuple(a / b for a, b in zip(self.ours, self.theirs, strict=True))

    @property
    def ratio(self) -> float:
        """The median of the ratios."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the median meets the target; None without a target."""
        if self.target is None:
            return None
        return self.ratio <= self.target if self.faster == "less" else self.ratio >= self.target

    def to_dict(self) -> dict:
        """As JSON-able data, with what follows from it."""
        low, _, high = _quartiles(self.ratios)
        derived = {
            "ratio": _short(self.ratio),
            "quartiles": [_short(low), _short(high)],
            "ours": _short(statistics.median(self.ours)),
            "theirs": _short(statistics.median(self.theirs)) if self.theirs else None,
            "turns": len(self.ours),
            "met": self.met,
        }
        sides = {name: [_short(v) for v in getattr(self, name)] for name in ("ours", "theirs")}
        return asdict(self) | {"samples": sides} | derived


def in_turns(
    ours: Callable[[], float], theirs: Callable[[], float], turns: int = 9
) -> tuple[Turns, Turns]:
    """Measure two sides alternately, each going first in half of the turns; one turn warms up."""
    ours()
    theirs()
    found: tuple[list[float], list[float]] = ([], [])
    for turn in range(turns):
        for side in (0, 1) if turn % 2 else (1, 0):
            found[side].append((ours, theirs)[side]())
    return tuple(found[0]), tuple(found[1])


def in_ms(sides: tuple[Turns, Turns]) -> tuple[Turns, Turns]:
    """Two sides in seconds as two in milliseconds."""
    ours, theirs = sides
    return tuple(1e3 * t for t in ours), tuple(1e3 * t for t in theirs)


def seconds(work: Callable[[], object], least: float = 0.05) -> Callable[[], float]:
    """A measurement of one call of `work`, repeated until at least that time has passed."""
    repeats = 1

    def measure() -> float:
        nonlocal repeats
        while True:
            began = time.perf_counter()
            for _ in range(repeats):
                work()
            spent = time.perf_counter() - began
            if spent >= least:
                return spent / repeats
            repeats *= 2

    return measure


def percentile(values: Sequence[float], percent: int) -> float:
    """The value below which so many per cent of the values lie, a whole number from 1 to 99."""
    if len(values) < 2:
        return values[0]
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def _quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    return percentile(values, 25), percentile(values, 50), percentile(values, 75)


def _short(number: float) -> float:
    return float(f"{number:.3g}")
