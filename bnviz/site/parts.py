"""The parts of a claim: each with its own verdict, computed from stored data by a rule.

Four kinds of evidence, told apart by a field that only they have: `contest` (both sides tuned),
`experiment` (the rows of a sweep, compared in pairs), `numbers` (what was printed or stored,
against a limit), and `cannot` (why nothing here can measure it).
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from bnviz import experiments
from bnviz.experiments.contest import Contest
from bnviz.experiments.paired import paired_effects
from bnviz.experiments.statistics import Effect
from bnviz.experiments.verdicts import CANNOT, NO, WRONG, Verdict, better, within
from bnviz.site.places import command, in_words, numbers_at

__all__ = ["Part", "read_part"]

_MEASURES = ("accuracy", "search")
_NAMES = {"lr": "learning rate", "scale": "initial scale"}


@dataclass(frozen=True)
class Part:
    """One statement, small enough to be right or wrong.

    Attributes:
        says: what is claimed, in Markdown.
        verdict, because: what the rule makes of the data.
        rule: what decides, and so what would change the verdict.
        protocol: how it was measured; "" where the numbers say it.
        rival: what else would explain it.
        effects: condition -> difference, with its interval.
        margin: from which on a difference counts.
        unit: of the effects.
        factor: the effects are logarithms of ratios.
        values: name -> what was printed or stored, as a sentence would say it.
        commands: what recomputes it.
    """

    says: str
    verdict: str
    because: str
    rule: str
    protocol: str = ""
    rival: str = ""
    effects: dict[str, Effect] = field(default_factory=dict)
    margin: float = 0.0
    unit: str = ""
    factor: bool = False
    values: dict[str, str] = field(default_factory=dict)
    commands: tuple[str, ...] = ()


def read_part(row: Mapping, book: Path) -> Part:
    """A part of a claim with its verdict.

    Raises:
        ValueError: for missing or unknown fields, an unknown contest, contender, column or place.
    """
    kind = next((name for name in _KINDS if name in row), "")
    if not kind:
        raise ValueError(f"a part needs one of {list(_KINDS)}: without evidence, no verdict")
    needs, may, read = _KINDS[kind]
    if not needs <= set(row) <= needs | may:
        raise ValueError(
            f"a part with {kind} needs {sorted(needs)}, may have {sorted(may)} and nothing else; "
            f"it has {sorted(row)}"
        )
    return read(row, book)


# --- both sides tuned ----------------------------------------------------------------------------


def _contest(row: Mapping, book: Path) -> Part:
    contest = experiments.get(row["contest"])
    if not isinstance(contest, Contest):
        raise ValueError(f"{row['contest']} is no contest: a part needs one, with a rule")
    others = {c.name: c for c in contest.contenders[1:]}
    if row["against"] not in others:
        raise ValueError(f"{contest.name} has no {row['against']!r}; there are {list(others)}")
    rows, margin = experiments.load(contest.name)["rows"], float(row["margin"])
    if row["measure"] not in _MEASURES:
        raise ValueError(f"{contest.name} cannot measure {row['measure']!r}, but {_MEASURES}")
    searched = row["measure"] == "search"
    compare = contest.search_effects if searched else contest.effects
    effects = compare(others[row["against"]], rows)
    edges = contest.edges(rows, (contest.contenders[0].name, row["against"]))
    verdict = better(effects, margin, () if searched else edges)
    return Part(
        says=row["says"],
        rival=row["rival"],
        verdict=verdict.word,
        because=verdict.because,
        effects=effects,
        margin=margin,
        protocol=_tuned(contest),
        unit="validation accuracy of the best trial" if searched else "test accuracy",
        rule=_contest_rule(contest, margin, searched),
        commands=(f"python -m bnviz.experiments {contest.name}",),
    )


def _tuned(contest: Contest) -> str:
    spaces = contest.contenders[0].space.items()
    ranges = " and ".join(f"{_NAMES.get(n, n)} {s.low:g} to {s.high:g}" for n, s in spaces)
    tuning = len(contest.tuning_seeds)
    seeds = f"{tuning} seeds" if tuning > 1 else "one seed"
    return (
        f"Each side had {contest.trials} trials over {ranges}, judged on validation images with "
        f"{seeds}; its best trial ran with {len(contest.seeds)} fresh "
        "seeds, the same for both, on test images."
    )


def _contest_rule(contest: Contest, margin: float, searched: bool) -> str:
    if searched:
        return (
            f"It holds if the whole 95 % interval, over other draws of the trials, lies above "
            f"{margin:+g} for every number of trials after {contest.steps} steps; it fails if it "
            "lies below for all of them."
        )
    budgets = ", ".join(map(str, contest.budgets[:-1])) + f" and {contest.budgets[-1]}"
    return (
        f"It holds if the whole 95 % interval lies above {margin:+g} after {budgets} steps, each "
        "with its own best settings; it fails if it lies below in all of them; a best setting at "
        "the edge of its range decides nothing."
    )


# --- rows of a sweep, in pairs -------------------------------------------------------------------


def _paired(row: Mapping, book: Path) -> Part:
    stored = experiments.load(row["experiment"])
    ratio, margin = bool(row.get("ratio")), float(row["margin"])
    effects = paired_effects(
        stored["rows"],
        stored["grid"],
        by=row["by"],
        values=row["values"],
        each=row.get("each", ()),
        where=row.get("where"),
        less=bool(row.get("less")),
        ratio=ratio,
        missing=row.get("missing"),
    )
    if ratio and margin < 1:
        raise ValueError(f"the margin of a ratio is a factor >= 1, got {margin:g}")
    limit = math.log(margin) if ratio else margin
    verdict = better(effects, limit)
    first = next(iter(effects.values()))
    pairs = first.wins + first.losses
    shown = f"a factor of {margin:g}" if ratio else f"{margin:+g}"
    conditions = f"in all {len(effects)} conditions" if len(effects) > 1 else ""
    return Part(
        says=row["says"],
        rival=row["rival"],
        verdict=verdict.word,
        because=verdict.because,
        effects=effects,
        margin=limit,
        factor=ratio,
        unit=row["unit"],
        protocol=f"Pairs with the same seed, some {pairs} in each condition." if pairs else "",
        rule=f"It holds if the whole 95 % interval lies above {shown} {conditions}".strip()
        + "; it fails if it lies below"
        + (" in all." if conditions else "."),
        commands=(f"python -m bnviz.experiments {row['experiment']}",),
    )


# --- numbers against a limit ---------------------------------------------------------------------


def _limited(row: Mapping, book: Path) -> Part:
    low = float(row["limit"].get("above", -math.inf))
    high = float(row["limit"].get("below", math.inf))
    if unknown := set(row["limit"]) - {"above", "below"}:
        raise ValueError(f"a limit is above, below or both, got {sorted(unknown)}")
    fails = row.get("fails", NO)
    if fails not in (NO, WRONG):
        raise ValueError(f"fails is {NO!r} or {WRONG!r}, got {fails!r}")
    places = row["numbers"]
    numbers = {name: numbers_at(place, book) for name, place in places.items()}
    verdict: Verdict = within(numbers, low, high, fails)
    limits = [f"at least {low:g}"] if math.isfinite(low) else []
    limits += [f"at most {high:g}"] if math.isfinite(high) else []
    every = "every number is" if sum(map(len, numbers.values())) > 1 else "the number is"
    return Part(
        says=row["says"],
        rival=row.get("rival", ""),
        verdict=verdict.word,
        because=verdict.because,
        values={name: in_words(place, book) for name, place in places.items()},
        rule=f"It holds if {every} {' and '.join(limits)}.",
        commands=tuple(dict.fromkeys(map(command, places.values()))),
    )


def _unmeasured(row: Mapping, book: Path) -> Part:
    return Part(says=row["says"], verdict=CANNOT, because=row["cannot"], rule="")


# field that tells the kind -> fields it needs, fields it may have, how it is read
_KINDS: dict[str, tuple[set[str], set[str], Callable[[Mapping, Path], Part]]] = {
    "contest": ({"says", "rival", "contest", "against", "measure", "margin"}, set(), _contest),
    "experiment": (
        {"says", "rival", "experiment", "by", "values", "margin", "unit"},
        {"each", "where", "less", "ratio", "missing"},
        _paired,
    ),
    "numbers": ({"says", "numbers", "limit"}, {"rival", "fails"}, _limited),
    "cannot": ({"says", "cannot"}, set(), _unmeasured),
}
