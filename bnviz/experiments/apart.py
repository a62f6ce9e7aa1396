"""Batch Normalization taken apart: which part, and which rival, keeps what BN gains?

Every explanation of BN says what should happen when a part is taken away, or when something else is
put in its place. What each says is written down in `PREDICTIONS`; what happened follows from the
contests by a rule, `outcome`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from statistics import mean
from typing import Any

from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.experiment import Row
from bnviz.experiments.statistics import Effect, effect
from bnviz.maths.apart import TakenApart

__all__ = [
    "CONTESTS",
    "INTERVENTIONS",
    "LESS",
    "PREDICTIONS",
    "Outcome",
    "outcome",
    "outcomes",
    "scores",
    "shares",
    "slower",
]

Results = Mapping[str, Mapping[str, Any]]

WIDTH, DEPTH, BATCH = 64, 10, 32
SPACE = {"lr": LogUniform(0.003, 30), "scale": LogUniform(0.1, 32)}
# behind a spread that divides, the initial scale acts as a rate: no setting of its own
RATE = {"lr": SPACE["lr"]}
SMALL = {"lr": LogUniform(1e-5, 3)}
SPACES = {
    "scaled": SPACE, "mean": SPACE, "weight": SPACE,
    "variance": SMALL, "detached": SMALL, "own": SMALL,
}  # fmt: skip
MARGIN = 0.02  # a gain below it explains nothing
HALF = 0.5  # of the gain: who has more than that keeps it

# contender -> what was done, for tables; "unscaled" is what all are compared with
INTERVENTIONS = {
    "scaled": "no BN, initial weights scaled well",
    "mean": "only the mean is subtracted",
    "variance": "only the spread is divided by",
    "detached": "all of BN, no gradient through the statistics",
    "own": "the same, judged with the test images' own statistics",
    "noisy": "all of BN, noise behind it at every step",
    "weight": "weight normalisation in its place",
}
# the same for a plot
LESS = {
    "unscaled": "BN less no BN, scale 1",
    "scaled": "less no BN, well scaled",
    "mean": "less the mean alone",
    "variance": "less the spread alone",
    "detached": "less constants",
    "own": "less constants, own statistics",
    "noisy": "less noisy BN",
    "weight": "less weight norm.",
}
# Statistics that count as constants let means drift, and running values lag behind. So training
# and evaluation are judged apart: with the test images' own statistics, only training is.
# explanation -> intervention -> whether the gain should stay; where it says nothing, it is left out
PREDICTIONS: dict[str, dict[str, bool]] = {
    "less internal covariate shift": {
        "scaled": False, "own": True, "noisy": False, "weight": False,
    },
    "a smoother loss": {"scaled": False, "own": False, "noisy": True},
    "length and direction parted": {
        "scaled": False, "mean": False, "variance": True, "own": False, "weight": True,
    },
    "noise of the batch": {"scaled": False, "own": True, "noisy": True, "weight": False},
    "signals that reach all layers": {
        "scaled": True, "mean": True, "variance": False, "noisy": True, "weight": True,
    },
}  # fmt: skip


def run(cell: Row) -> Row:
    """Train one network and look at its accuracy on the way."""
    network, scale = _trainer(cell["part"], cell["activation"]), cell.get("scale", 1.0)
    return network.scores(cell["steps"], lr=cell["lr"], scale=scale, seed=cell["seed"])


@cache
def _trainer(part: str, activation: str):
    from bnviz.experiments.compiled import Trainer  # a compiler is not needed to read a result

    sizes = (64, *[WIDTH] * DEPTH, 10)
    return Trainer(TakenApart(sizes, part=part, activation=activation), BATCH)


def _contender(name: str, activation: str) -> Contender:
    part = "none" if name in ("scaled", "unscaled") else name
    return Contender(name, SPACES.get(name, RATE), {"part": part, "activation": activation})


_FIXED = {
    "data": "digits; 287 of the training images choose, the test images judge",
    "batch": BATCH,
    "scale": "1 where it is not tuned: behind a normalisation it acts as a rate; gains of weight "
    "normalisation begin as the lengths of the drawn weights",
    "own": "statistics count as constants in the backward pass, as in 'detached'; validation and "
    "test images are normalised with their own mean and variance, each set as one batch",
    "gain": "accuracy over that of 'unscaled', no BN and initial scale 1; of BN above "
    f"{MARGIN}, or there is nothing to explain",
    "no": f"an intervention keeps the gain only if the interval of its difference to "
    f"'unscaled' less {HALF} times BN's lies above 0 at all three budgets, and loses it "
    "only if it lies below 0 at all three",
}


def _contest(activation: str) -> Contest:
    names = ("bn", "unscaled", *INTERVENTIONS)
    return Contest(
        name=f"apart-{activation}",
        title=f"BN taken apart: {DEPTH} {activation} layers, each side tuned",
        claims=("C55", "C56", "C57", "C58"),
        question="Which part of BN, or which rival, keeps the accuracy that BN gains over a network"
        " without it?",
        fixed=_FIXED
        | {
            "network": f"{DEPTH} hidden {activation} layers of {WIDTH}",
            "predictions": {who: dict(said) for who, said in PREDICTIONS.items()},
        },
        contenders=tuple(_contender(name, activation) for name in names),
        run=run,
        steps=600,
        trials=32,
        tuning_seeds=(100, 101),
        seeds=tuple(range(10)),
        every=4,
        notes=(
            "Runs that are not finite count as 0.1, the accuracy of guessing.",
            "A first contest, of sigmoids with other ranges, had shown that rates of 'detached' "
            "and 'variance' must be small, that running values of 'detached' lag, and that gains "
            "of 1 never learn; its data are not used. The predictions are older, but that of "
            "'signals that reach all layers' on 'weight', which was turned when the gains were.",
        ),
    )


CONTESTS = tuple(map(_contest, ("sigmoid", "relu")))


@dataclass(frozen=True)
class Outcome:
    """What became of the gain.

    Attributes:
        kept: True, False, or None where the data do not decide.
        share: of BN's gain, mean over the seeds, for each budget.
        beyond: gain less half of BN's, for each budget.
    """

    kept: bool | None
    share: tuple[float, ...]
    beyond: tuple[Effect, ...]


def outcome(contest: Contest, name: str, rows: list[Row]) -> Outcome | None:
    """Whether a contender keeps BN's gain; None where BN has none at some budget.

    >>> outcome(CONTESTS[0], "fixup", [])
    Traceback (most recent call last):
    ValueError: no contender 'fixup'; there are bn, unscaled, scaled, mean, variance, detached, \
own, noisy, weight
    """
    who = {c.name: c for c in contest.contenders}
    if name not in who:
        raise ValueError(f"no contender {name!r}; there are {', '.join(who)}")
    shares, beyond = [], []
    for budget in contest.budgets:
        ours, bn, base = (
            [curve[-1] for curve in contest.curves(who[n], budget, rows)]
            for n in (name, "bn", "unscaled")
        )
        if effect(bn, base).low <= MARGIN:
            return None
        shares.append((mean(ours) - mean(base)) / (mean(bn) - mean(base)))
        half = [b + HALF * (a - b) for a, b in zip(bn, base, strict=True)]
        beyond.append(effect(ours, half))
    kept = True if all(e.low > 0 for e in beyond) else None
    kept = False if all(e.high < 0 for e in beyond) else kept
    return Outcome(kept, tuple(shares), tuple(beyond))


def outcomes(results: Results) -> dict[str, dict[str, Outcome | None]]:
    """Every intervention in every stored contest: activation -> intervention -> what came of it.

    Args:
        results: activation -> `experiments.load("apart-" + activation)`.
    """
    contests = {contest.name: contest for contest in CONTESTS}
    return {
        activation: {
            name: outcome(contests[result["name"]], name, result["rows"]) for name in INTERVENTIONS
        }
        for activation, result in results.items()
    }


def shares(results: Results) -> dict[str, dict[str, str]]:
    """For a table: share of BN's gain that is left, at the budget, and what the rule says of it."""
    return {
        activation: {INTERVENTIONS[name]: _in_words(found) for name, found in of.items()}
        for activation, of in outcomes(results).items()
    }


def _in_words(found: Outcome | None) -> str:
    if found is None:
        return "no gain"
    said = {True: "keeps", False: "loses", None: "open"}[found.kept]
    return f"{said} ({found.share[1]:.0%})"


def scores(results: Results) -> dict[str, dict[str, str]]:
    """For a table: of its predictions that the data decide, how many of an explanation are right.

    Explanation -> activation -> such as "3 of 4".
    """
    found = outcomes(results)
    table: dict[str, dict[str, str]] = {}
    for explanation, said in PREDICTIONS.items():
        table[explanation] = {}
        for activation, of in found.items():
            known = {name: o.kept for name in said if (o := of[name]) and o.kept is not None}
            right = sum(said[name] == kept for name, kept in known.items())
            table[explanation][activation] = f"{right} of {len(known)}" if known else "nothing"
    return table


def slower(contest: Contest, rows: list[Row]) -> dict[str, dict[str, float]]:
    """BN at no larger rate than the network without BN chose: what is left of its gain?

    On validation images, with the seeds of the tuning: nobody ran it on test images. For each
    budget the rate that 'scaled' chose, the best one of BN's trials up to that, and the share of
    the gain over 'unscaled' that it keeps.
    """
    who = {c.name: c for c in contest.contenders}
    found = {}
    for budget in contest.budgets:
        scores = {n: contest.scores(who[n], budget, rows) for n in ("bn", "unscaled")}
        limit = contest.choice(who["scaled"], budget, rows).values["lr"]
        rates = [point["lr"] for point in contest.points(who["bn"])]
        score, lr = max((s, r) for s, r in zip(scores["bn"], rates, strict=True) if r <= limit)
        base, best = max(scores["unscaled"]), max(scores["bn"])
        share = (score - base) / (best - base)
        found[f"{budget} steps"] = {"limit": limit, "lr": lr, "share": share}
    return found
