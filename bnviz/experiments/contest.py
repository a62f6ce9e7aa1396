"""A comparison that is fair to all its contenders: each is tuned, alike, before it is judged.

    tune      every contender gets the same number of trials, drawn from its own search space at the
              same points, and the same steps; each trial is scored on validation data
    choose    for each budget of steps, the trial with the best mean score; it must not lie at the
              edge of its space, or the space was too narrow to say anything
    report    with seeds that took no part, the same for all; scored on test data
    compare   differences of pairs with one seed, with an interval, for each of three budgets: half,
              once and twice the steps

A run goes on to twice the steps and is scored on its way, so one run serves all three budgets: the
settings are constant in time. (A contender whose rate decays would need a run for each.)
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean, median
from typing import Any, ClassVar

from scipy.stats import qmc

from bnviz.experiments.experiment import Row, Sweep, rounded
from bnviz.experiments.statistics import (
    Effect,
    effect,
    effect_on_best,
    expected_best,
    steps_to,
)

__all__ = ["Choice", "Contender", "Contest", "LogUniform"]

FACTORS = (0.5, 1, 2)  # of the steps: a verdict that needs one of them is no verdict
EDGE = 0.05  # share of a range, at either end, in which a best value shows nothing


@dataclass(frozen=True)
class LogUniform:
    """A setting whose logarithm is drawn evenly from a range.

    Raises:
        ValueError: unless 0 < low < high.
    """

    low: float
    high: float

    def __post_init__(self):
        if not 0 < self.low < self.high:
            raise ValueError(f"a range needs 0 < low < high, got {self.low} and {self.high}")

    def at(self, share: float) -> float:
        """The value at a share of the range, 0 to 1.

        >>> round(LogUniform(0.01, 1).at(0.5), 3)
        0.1
        """
        return self.low * (self.high / self.low) ** share


@dataclass(frozen=True)
class Contender:
    """One side of a contest.

    Args:
        name: in one word.
        space: what is tuned: setting -> range.
        settings: what makes it this contender, handed to every run.
    """

    name: str
    space: Mapping[str, LogUniform]
    settings: Mapping[str, Any]


@dataclass(frozen=True)
class Choice:
    """The best trial of a contender for one budget.

    Attributes:
        trial: its number.
        values: setting -> value.
        edges: settings that lie at the edge of their range, which was then too narrow.
    """

    trial: int
    values: dict[str, float]
    edges: tuple[str, ...]


@dataclass(frozen=True)
class Contest:
    """Who runs, how long, and how often.

    Args:
        name: as on the command line and in the file name.
        title, claims, question: as of an `Experiment`.
        fixed: what is the same in every run, for the reader of the result.
        contenders: two or more; effects are of the first against each other one.
        run: a cell (settings, tuned values, "seed", and "steps", at which to look) ->
            {"validation": [..], "test": [..]}, a score for each of these steps, larger is better.
            A run that diverged has the score of guessing from there on.
        steps: the budget; runs go on to twice as many.
        trials: of each contender, a power of two (the points are a Sobol sequence).
        tuning_seeds, seeds: no seed in both.
        targets: scores; how many steps it takes to reach them is told too.
        notes: for the reader of the result.
        options: as of an `Experiment`.
        every: one of so many looks on the way is taken, where many contenders would fill the file.

    Raises:
        ValueError: for a seed in both lists, or trials that are no power of two.
    """

    name: str
    title: str
    claims: tuple[str, ...]
    question: str
    fixed: Mapping[str, Any]
    contenders: tuple[Contender, ...]
    run: Callable[[Row], Row]
    steps: int
    trials: int = 32
    tuning_seeds: tuple[int, ...] = (100, 101, 102)
    seeds: tuple[int, ...] = tuple(range(10))
    targets: tuple[float, ...] = (0.8, 0.9, 0.95)
    notes: tuple[str, ...] = field(default=())
    options: Mapping[str, Any] = field(default_factory=dict)
    every: int = 1
    grid: ClassVar[Mapping[str, tuple]] = {}  # which cells there are is decided on the way
    serial: ClassVar[bool] = False

    def __post_init__(self):
        if both := set(self.tuning_seeds) & set(self.seeds):
            raise ValueError(f"seeds {sorted(both)} are in both lists: report with fresh ones")
        if self.trials < 2 or self.trials & (self.trials - 1):
            raise ValueError(f"trials must be a power of two from 2 on, got {self.trials}")

    # --- running ---------------------------------------------------------------------------------

    @property
    def budgets(self) -> tuple[int, ...]:
        """Half the steps, the steps, twice the steps."""
        return tuple(round(factor * self.steps) for factor in FACTORS)

    @property
    def looks(self) -> tuple[int, ...]:
        """The steps at which a run is scored: sixteenths of the budget, then eighths."""
        sixteenth = max(1, self.steps // 16)
        early = range(sixteenth, self.steps, sixteenth)
        late = range(self.steps, 2 * self.steps, 2 * sixteenth)
        return tuple(sorted({*self.budgets, *[*early, *late][self.every - 1 :: self.every]}))

    def points(self, contender: Contender) -> list[dict[str, float]]:
        """The settings of its trials: the same shares of the ranges for every contender."""
        # scrambled: the sequence as it is begins in the corner of the space
        shares = qmc.Sobol(len(contender.space), rng=0).random(self.trials)
        spaces = contender.space.items()
        return [
            {name: space.at(float(s)) for (name, space), s in zip(spaces, row, strict=True)}
            for row in shares
        ]

    def tuning_cells(self) -> list[Row]:
        """Every trial of every contender with every seed for tuning."""
        return [
            self._cell(contender, trial, values, seed)
            for contender in self.contenders
            for trial, values in enumerate(self.points(contender))
            for seed in self.tuning_seeds
        ]

    def report_cells(self, tuning: list[Row]) -> list[Row]:
        """Each choice with each fresh seed; what was chosen for two budgets runs once."""
        found = {}
        for contender in self.contenders:
            for budget in self.budgets:
                choice = self.choice(contender, budget, tuning)
                for seed in self.seeds:
                    cell = self._cell(contender, choice.trial, choice.values, seed)
                    found[contender.name, choice.trial, seed] = cell
        return list(found.values())

    def _cell(self, contender: Contender, trial: int, values: Row, seed: int) -> Row:
        who = {"contender": contender.name, "trial": trial, "seed": seed}
        settings = {**self.options, **contender.settings}
        return who | settings | values | {"steps": self.looks}

    @property
    def runs(self) -> int:
        """How many trainings it takes at most: a trial may be the best one for several budgets."""
        reported = len(self.contenders) * len(self.budgets) * len(self.seeds)
        return len(self.tuning_cells()) + reported

    def compute(self, sweep: Sweep) -> list[Row]:
        """Run it: rows of stage "tuning", then of stage "report".

        Those of "tuning" have the validation score after each budget, which is what chooses; those
        of "report" the test score at each look.

        Args:
            sweep: runs cells, perhaps many at once; see `sweep.sweep`.
        """
        cells = self.tuning_cells()
        tuning = []
        for row in _rows("tuning", cells, sweep(self.run, cells), "validation"):
            at = [self.looks.index(budget) for budget in self.budgets]
            tuning.append(row | {"scores": [row["scores"][k] for k in at]})
        cells = self.report_cells(tuning)
        return tuning + _rows("report", cells, sweep(self.run, cells), "test")

    @property
    def settings(self) -> dict[str, Any]:
        """All that was fixed in advance, as it is stored."""
        names = ("steps", "trials", "tuning_seeds", "seeds", "targets", "looks")
        spaces = {
            c.name: {name: [s.low, s.high] for name, s in c.space.items()} for c in self.contenders
        }
        return {**self.fixed, **{n: getattr(self, n) for n in names}, "tuned": spaces}

    # --- judging ---------------------------------------------------------------------------------

    def scores(self, contender: Contender, budget: int, rows: list[Row]) -> list[float]:
        """The mean validation score of each of its trials."""
        at = self.budgets.index(budget)
        each: dict[int, list[float]] = {trial: [] for trial in range(self.trials)}
        for row in rows:
            if (row["stage"], row["contender"]) == ("tuning", contender.name):
                each[row["trial"]].append(row["scores"][at])
        return [mean(scores) for scores in each.values()]

    def choice(self, contender: Contender, budget: int, rows: list[Row]) -> Choice:
        """The trial with the best mean score; of equal ones the first."""
        scores = self.scores(contender, budget, rows)
        best = max(range(self.trials), key=lambda trial: scores[trial])
        values = self.points(contender)[best]
        edges = tuple(
            name
            for name, space in contender.space.items()
            if not space.at(EDGE) <= values[name] <= space.at(1 - EDGE)
        )
        return Choice(best, values, edges)

    def curves(self, contender: Contender, budget: int, rows: list[Row]) -> list[list[float]]:
        """Test scores of the choice for a budget, up to it: a list for each seed."""
        wanted = ("report", contender.name, self.choice(contender, budget, rows).trial)
        until = self.looks.index(budget) + 1
        found = {
            row["seed"]: row["scores"][:until]
            for row in rows
            if (row["stage"], row["contender"], row["trial"]) == wanted
        }
        return [found[seed] for seed in self.seeds]

    def effects(self, other: Contender, rows: list[Row]) -> dict[str, Effect]:
        """The first contender against another: budget in words -> difference in test score."""
        found = {}
        for budget in self.budgets:
            ours, theirs = (
                [curve[-1] for curve in self.curves(c, budget, rows)]
                for c in (self.contenders[0], other)
            )
            found[f"{budget} steps"] = effect(ours, theirs)
        return found

    def search_effects(self, other: Contender, rows: list[Row]) -> dict[str, Effect]:
        """The first against another: how much better is the best of a few trials?

        On validation data, for the budget itself; more trials than an eighth of all say more about
        the best than about how easily it is found.
        """
        ours, theirs = (self.scores(c, self.steps, rows) for c in (self.contenders[0], other))
        few = [2**k for k in range(0, self.trials.bit_length() - 3)]
        return {
            f"best of {m}" if m > 1 else "one trial": effect_on_best(ours, theirs, m) for m in few
        }

    def edges(self, rows: list[Row], names: Sequence[str] | None = None) -> tuple[str, ...]:
        """The settings whose best value, for any budget, lies at an edge.

        Args:
            rows: of the contest.
            names: of the contenders that count; None takes all.
        """
        return tuple(
            f"{name} of {c.name} ({budget} steps)"
            for c in self.contenders
            if names is None or c.name in names
            for budget in self.budgets
            for name in self.choice(c, budget, rows).edges
        )

    def summarise(self, rows: list[Row]) -> dict[str, Any]:
        """What the rows come to; a pure function of them."""
        others = self.contenders[1:]
        found: dict[str, Any] = {
            "effects": {
                o.name: {k: asdict(e) for k, e in self.effects(o, rows).items()} for o in others
            },
            "edges": list(self.edges(rows)),
        }
        for contender in self.contenders:
            found[contender.name] = {
                str(budget): self._told(contender, budget, rows) for budget in self.budgets
            }
        return rounded(found)

    def _told(self, contender: Contender, budget: int, rows: list[Row]) -> Row:
        """One contender with one budget."""
        choice = self.choice(contender, budget, rows)
        scores = self.scores(contender, budget, rows)
        curves = self.curves(contender, budget, rows)
        trials = [2**k for k in range(self.trials.bit_length())]
        return {
            "chosen": choice.values,
            "test": [curve[-1] for curve in curves],
            "median": median(curve[-1] for curve in curves),
            "expected_best": {str(m): expected_best(scores, m) for m in trials},
            "steps_to": {
                f"{target:.0%}": [steps_to(c, self.looks[: len(c)], target) for c in curves]
                for target in self.targets
            },
        }


def _rows(stage: str, cells: list[Row], found: list[Row], score: str) -> list[Row]:
    """What of a run is stored: who ran, and the scores that its stage may see."""
    names = ("contender", "trial", "seed")
    return [
        {"stage": stage} | {k: cell[k] for k in names} | {"scores": rounded(row[score])}
        for cell, row in zip(cells, found, strict=True)
    ]
