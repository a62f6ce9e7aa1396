"""The parts of a claim: each with its own verdict, computed from a stored contest by a rule."""

from collections.abc import Mapping
from dataclasses import dataclass

from bnviz import experiments
from bnviz.experiments.contest import Contest
from bnviz.experiments.statistics import Effect
from bnviz.experiments.verdicts import better

__all__ = ["Part", "read_part"]

_FIELDS = {"says", "rival", "contest", "against", "measure", "margin"}
_MEASURES = ("accuracy", "search")
_NAMES = {"lr": "learning rate", "scale": "initial scale"}


@dataclass(frozen=True)
class Part:
    """One statement, small enough to be right or wrong.

    Attributes:
        says: what is claimed, in Markdown.
        rival: what else would explain it.
        verdict, because: what the rule makes of the data.
        effects: condition -> difference in test accuracy, with its interval.
        margin: from which on a difference counts.
        unit: of the effects.
        protocol: how it was measured.
        rule: what decides, and so what would change the verdict.
        command: what recomputes it.
    """

    says: str
    rival: str
    verdict: str
    because: str
    effects: dict[str, Effect]
    margin: float
    unit: str
    protocol: str
    rule: str
    command: str


def read_part(row: Mapping) -> Part:
    """A part of `claims.yml` with its verdict.

    Raises:
        ValueError: for missing or unknown fields, an unknown contest or contender.
    """
    if set(row) != _FIELDS:
        raise ValueError(f"a part has {sorted(row)}; it needs {sorted(_FIELDS)} and nothing else")
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
    verdict = better(effects, margin, () if searched else contest.edges(rows))
    return Part(
        says=row["says"],
        rival=row["rival"],
        verdict=verdict.word,
        because=verdict.because,
        effects=effects,
        margin=margin,
        protocol=_protocol(contest),
        unit="validation accuracy of the best trial" if searched else "test accuracy",
        rule=_rule(contest, margin, searched),
        command=f"python -m bnviz.experiments {contest.name}",
    )


def _protocol(contest: Contest) -> str:
    spaces = contest.contenders[0].space.items()
    ranges = " and ".join(f"{_NAMES.get(n, n)} {s.low:g} to {s.high:g}" for n, s in spaces)
    return (
        f"Each side had {contest.trials} trials over {ranges}, judged on validation images with "
        f"{len(contest.tuning_seeds)} seeds; its best trial ran with {len(contest.seeds)} fresh "
        "seeds, the same for both, on test images."
    )


def _rule(contest: Contest, margin: float, searched: bool) -> str:
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
