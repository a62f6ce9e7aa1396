"""How deep networks fail to train: what their last hidden layer does, early and late.

Each run is looked at every five steps in its first and in its last quarter, and is of one kind, by
rules that are stated here and varied in `VARIED`. In this order:

    diverged        a parameter is not finite
    learned         reads more than half of the probe, median of the last quarter
    thrown, dead    flat, blind, and at rest
    thrown, moving  flat, but not at rest or not blind
    faded           blind without being flat: the spread over the images is gone
    slow            the rest: neither flat nor blind

Flat: 80 % of the units of the last hidden layer are where the activation is flat, for every image
(`measures.dead`). Blind: 90 % of them give every image the same output, up to 0.01. At rest: their
distributions move less than 0.1 in five steps, as the activation sees it.
"""

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from statistics import median

import torch
from torch import Tensor

from bnviz.experiments.experiment import Experiment, Row, rounded
from bnviz.maths import ics, measures
from bnviz.maths.nets import ACTIVATIONS, activate

__all__ = ["CRITERIA", "KINDS", "PROPER", "VARIED", "Criteria", "Diary", "kind_of", "runs_of"]

KINDS = ("learned", "slow", "faded", "thrown, dead", "thrown, moving", "diverged")
# s E[g'^2]^(1/2) = 1 where signals are small: neither fades nor grows
PROPER = {"sigmoid": 4.0, "tanh": 1.0, "relu": 2**0.5}
RATES = (0.1, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
FACTORS = (0.25, 0.5, 1.0, 2.0)  # of the proper scale
STEPS, EVERY = 400, 5
SEEDS = tuple(range(20))
BUDGETS = {"half": STEPS // 2, "twice": 2 * STEPS}
FEW = 5  # seeds that are followed to the other budgets
_LETTER: dict[str, str] = dict(zip(KINDS, "LSFDMX", strict=True))
_FOLLOWED = ("train", "drift", "drift_std", "signal", "flat", "moved")
COLUMNS = ("train", "signal", "flat", "early", "late", "early_std", "late_std", "moved")


@dataclass(frozen=True)
class Criteria:
    """The thresholds above.

    learned: accuracy. blind: standard deviation of an output. flat: share of units. rest: drift in
    five steps.
    """

    learned: float = 0.5
    blind: float = 0.01
    flat: float = 0.8
    rest: float = 0.1


CRITERIA = Criteria()
VARIED = {
    "learned": (0.3, 0.8),
    "blind": (0.003, 0.03),
    "flat": (0.6, 0.95),
    "rest": (0.03, 0.3),
}


def kind_of(run: Mapping[str, float | None], criteria: Criteria = CRITERIA) -> str:
    """One of `KINDS`. `run` has "train", "signal", "flat", "late"; None where it was not finite.

    >>> run = {"train": 0.1, "signal": 1e-4, "flat": 0.0, "late": 0.002}
    >>> kind_of(run), kind_of(run | {"flat": 1.0}), kind_of(run | {"train": 0.9})
    ('faded', 'thrown, dead', 'learned')
    """
    train, signal, flat, late = (run[k] for k in ("train", "signal", "flat", "late"))
    if train is None or signal is None or flat is None or late is None:
        return "diverged"
    blind = signal < criteria.blind
    if train > criteria.learned:
        return "learned"
    if flat > criteria.flat:
        return "thrown, dead" if blind and late < criteria.rest else "thrown, moving"
    return "faded" if blind else "slow"


class Diary:
    """What the last hidden layer of a network does while it learns.

    Args:
        norm, activation, lr, scale, seed: which network; it begins here.
    """

    def __init__(self, *, norm: bool, activation: str, lr: float, scale: float, seed: int):
        from bnviz.experiments.watched import watched  # a compiler is not needed to read results

        self.net = watched(norm)
        self.net.begin(activation=activation, lr=lr, scale=scale, seed=seed)
        self.index = torch.tensor(float(ACTIVATIONS.index(activation)))
        self.start = self.net.look()["v"][-1]  # (PROBE, WIDTH)
        self.done = 0

    def go(self, steps: int) -> None:
        """Train on, without looking."""
        self.net.go(steps)
        self.done += steps

    def follow(self, steps: int) -> dict[str, float]:
        """Train on and look every `EVERY` steps.

        Returns:
            "train", the accuracy on the probe, its median over these steps; "drift" between two
            looks, the mean of them, in units of the pre-activation, and "drift_std" in those of a
            unit's spread over the images; and as it is at the end: "signal", the spread of an
            output, below which 90 % of the units lie; "flat", a share of units; "moved", how far
            the mean of a unit is from where it started. All NaN once a value is not finite.
        """
        seen, train, drifts = self.net.look(), list[float](), list[Tensor]()
        for _ in range(steps // EVERY):
            before = seen["v"][-1]
            self.go(EVERY)
            seen = self.net.look()
            if not bool(seen["finite"]):
                return dict.fromkeys(_FOLLOWED, math.nan)
            w1 = ics.wasserstein(before, seen["v"][-1]).mean()
            drifts.append(torch.stack([w1, w1 / before.std(0, correction=0).mean()]))
            train.append(seen["train"].item())
        drift, own = torch.stack(drifts).mean(0).tolist()
        inside = self._inside(seen["v"][-1])
        return {"train": median(train), "drift": drift, "drift_std": own, **inside}

    def _inside(self, v: Tensor) -> dict[str, float]:
        """Of the pre-activations v of the layer, (PROBE, WIDTH)."""
        outputs = activate(v, self.index).std(0, correction=0)  # (WIDTH,)
        return {
            "signal": torch.quantile(outputs, 0.9).item(),
            "flat": measures.dead(v[None], self.index).item(),
            "moved": (v.mean(0) - self.start.mean(0)).square().mean().sqrt().item(),
        }


def run(cell: Row) -> Row:
    """All seeds of one network, learning rate and scale: the `COLUMNS`, a value for each seed."""
    found: list[dict[str, float]] = []
    kinds: dict[str, list[str]] = {name: [] for name in BUDGETS}
    for seed in cell.get("seeds", SEEDS):
        diary = Diary(
            norm=cell["net"] == "bn",
            activation=cell["activation"],
            lr=cell["lr"],
            scale=cell["factor"] * PROPER[cell["activation"]],
            seed=seed,
        )
        looks = _looks(diary, seed < FEW)
        found.append(looks.pop("main"))
        for name, seen in looks.items():
            kinds[name].append(_LETTER[kind_of(rounded(seen | {"late": seen["drift"]}))])
    columns = {k: [rounded(r[k], 2) for r in found] for k in COLUMNS}
    return {**columns, **{name: "".join(letters) for name, letters in kinds.items()}}


def _looks(diary: Diary, further: bool) -> dict[str, dict[str, float]]:
    """What the diary says at the end of the run, and, `further`, of one of half and twice."""
    quarter, found = STEPS // 4, {}
    early = diary.follow(quarter)
    if further:
        diary.go(quarter // 2)
        found["half"] = diary.follow(quarter // 2)
    diary.go(3 * quarter - diary.done)
    late = diary.follow(quarter)
    if further:
        diary.go(3 * quarter)
        found["twice"] = diary.follow(quarter)
    for name, phase in (("early", early), ("late", late)):
        late |= {name: phase["drift"], f"{name}_std": phase["drift_std"]}
    return {**found, "main": late | {"moved": early["moved"]}}


def runs_of(row: Row) -> list[dict[str, float | None]]:
    """The runs of a stored row, one for each seed, with the `COLUMNS`."""
    return [
        dict(zip(COLUMNS, run, strict=True)) for run in zip(*(row[k] for k in COLUMNS), strict=True)
    ]


def summarise(rows: list[Row]) -> dict:
    """How many runs are of which kind, what each kind looks like, and how sure the kinds are."""
    found: dict = {"runs": sum(len(r["train"]) for r in rows)}
    for net in ("plain", "bn"):
        chosen = [r for r in rows if r["net"] == net]
        runs = [run for row in chosen for run in runs_of(row)]
        kinds = [kind_of(run) for run in runs]
        found[net] = {
            "counts": {kind: kinds.count(kind) for kind in KINDS},
            "by_rate": [
                {"lr": lr} | _counts(run for r in chosen if r["lr"] == lr for run in runs_of(r))
                for lr in sorted({r["lr"] for r in chosen})
            ],
            "looks": {
                kind: _medians([r for r, k in zip(runs, kinds, strict=True) if k == kind])
                for kind in KINDS
                if kind in kinds
            },
            "changed": _changed(runs),
            "budgets": {name: _moves(chosen, name) for name in BUDGETS},
        }
    return found


def _counts(runs) -> dict[str, int]:
    return dict(Counter(kind_of(run) for run in runs))


def _medians(runs: list[dict[str, float | None]]) -> dict[str, float | None]:
    """Of every column, over the runs in which it is a number."""
    found = {}
    for key in COLUMNS:
        values = [value for r in runs if (value := r[key]) is not None]
        found[key] = rounded(float(median(values)), 2) if values else None
    return found


def _changed(runs: list[dict[str, float | None]]) -> dict[str, int]:
    """How many runs change their kind when one threshold moves; "any": with at least one."""
    usual, found = [kind_of(run) for run in runs], {}
    moved = [False] * len(runs)
    for name, values in VARIED.items():
        for which, value in zip(("lower", "higher"), values, strict=True):
            other = [kind_of(run, replace(CRITERIA, **{name: value})) for run in runs]
            differ = [a != b for a, b in zip(usual, other, strict=True)]
            found[f"{name} {which}"] = sum(differ)
            moved = [a or b for a, b in zip(moved, differ, strict=True)]
    return {**found, "any": sum(moved)}


def _moves(rows: list[Row], budget: str) -> dict[str, int]:
    """Pairs "kind > kind at the other budget" that differ, and "same", over the first seeds."""
    names = {letter: kind for kind, letter in _LETTER.items()}
    found: Counter[str] = Counter()
    for row in rows:
        for run, letter in zip(runs_of(row), row[budget], strict=False):
            a, b = kind_of(run), names[letter]
            found["same" if a == b else f"{a} > {b}"] += 1
    return dict(found.most_common())


def _experiment(activation: str) -> Experiment:
    return Experiment(
        name=f"failures-{activation}",
        title=f"How networks fail to train, {activation}",
        claims=("C08",),
        question="What do the distributions of a network look like that does not converge?",
        settings={
            "data": "digits",
            "network": "5 hidden layers of 64",
            "steps": STEPS,
            "batch": 32,
            "seeds": f"0 to {SEEDS[-1]}; half and twice the steps: 0 to {FEW - 1}",
            "scale": f"factor times {PROPER[activation]:.3g}, where signals neither fade nor grow",
            "kinds": "bnviz.experiments.failures",
            "no": "The kinds are no answer if one threshold, moved, changes the kind of more than "
            "a tenth of the runs, or if failures of one kind become another with other budgets.",
        },
        grid={
            "activation": (activation,),
            "net": ("plain", "bn"),
            "lr": RATES,
            "factor": FACTORS,
        },
        run=run,
        summarise=summarise,
        digits=2,
    )


FAILURES_SIGMOID, FAILURES_TANH, FAILURES_RELU = map(_experiment, ACTIVATIONS)
