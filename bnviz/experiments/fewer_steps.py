"""How many steps to a given accuracy, with BN and without, each tuned to get there fast?

The headline of Ioffe and Szegedy counts steps to an accuracy that the network without BN reached
at a rate of its own. Here the accuracies are fixed in advance, and each side chooses its learning
rate and initial scale by the steps that it takes to them on validation images.
"""

import math
from functools import cache
from statistics import mean

from scipy.stats import qmc

from bnviz.experiments.contest import EDGE, LogUniform
from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.experiments.statistics import steps_to

__all__ = ["LOOKS", "STEPS_TUNED", "TARGETS"]

SIZES, BATCH = (64, 40, 40, 40, 10), 32
RATE, SCALE = LogUniform(0.003, 30), LogUniform(0.1, 32)
TRIALS, TUNING_SEEDS = 64, (100, 101, 102)
TARGETS = (0.8, 0.9, 0.95)
BUDGETS = (300, 600, 1200)  # steps at most; who has not arrived by then counts as twice as many
LOOKS = tuple(sorted({round(4 * 1.12**k) for k in range(51)} | set(BUDGETS)))


def run(cell: Row) -> Row:
    """Steps to each target with the settings that were chosen for it, for each budget."""
    row: Row = {"edges": 0}
    for target in TARGETS:
        for budget in BUDGETS:
            rate, scale, edge = _chosen(cell["activation"], cell["net"], target, budget)
            curve = _curve(cell["activation"], cell["net"], rate, scale, cell["seed"])["test"]
            row[_column(target, budget)] = _steps(curve, target, budget)
            row["edges"] += edge
            if budget == BUDGETS[1]:
                row[f"rate_{target:.0%}"[:-1]], row[f"scale_{target:.0%}"[:-1]] = rate, scale
    return row


def _column(target: float, budget: int) -> str:
    return f"to_{100 * target:.0f}_within_{budget}"


def _steps(curve: list[float], target: float, budget: int) -> int:
    found = steps_to(curve, LOOKS[: len(curve)], target)
    return found if found and found <= budget else 2 * budget


@cache
def _curve(activation: str, net: str, rate: float, scale: float, seed: int) -> dict:
    from bnviz.experiments.compiled import trainer  # a compiler is not needed to read a result

    network = trainer(BATCH, sizes=SIZES, norm=net == "bn", activation=activation)
    return network.scores(LOOKS, lr=rate, scale=scale, seed=seed, until=max(TARGETS))


@cache
def _trials(activation: str, net: str) -> list[tuple[float, float, list[list[float]]]]:
    """Rate, scale, and a validation curve for each seed, of every trial."""
    shares = qmc.Sobol(2, rng=0).random(TRIALS)
    points = [(RATE.at(float(a)), SCALE.at(float(b))) for a, b in shares]
    return [
        (a, b, [_curve(activation, net, a, b, seed)["validation"] for seed in TUNING_SEEDS])
        for a, b in points
    ]


@cache
def _chosen(activation: str, net: str, target: float, budget: int) -> tuple[float, float, int]:
    """Rate and scale of the trial that takes the fewest steps, and how many lie at an edge."""

    def cost(trial: tuple) -> float:
        return mean(math.log(_steps(curve, target, budget)) for curve in trial[2])

    rate, scale, _ = min(_trials(activation, net), key=cost)
    pairs = ((RATE, rate), (SCALE, scale))
    edge = sum(not space.at(EDGE) <= v <= space.at(1 - EDGE) for space, v in pairs)
    return rate, scale, edge


def summarise(rows: list[Row]) -> dict:
    """Steps over the seeds, for each activation and network; how often a choice lay at an edge."""
    names = [_column(t, b) for t in TARGETS for b in BUDGETS]
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(f"{row['activation']}-{row['net']}", []).append(row)
    return {
        key: {
            **{name: between(r[name] for r in group) for name in names},
            "edges": group[0]["edges"],
            **{k: group[0][k] for k in group[0] if k.startswith(("rate_", "scale_"))},
        }
        for key, group in groups.items()
    }


STEPS_TUNED = Experiment(
    name="steps-tuned",
    title="Steps to a given accuracy, both sides tuned",
    claims=("C32", "C23"),
    question="How many times fewer steps does BN take, when each side has its own best settings?",
    settings={
        "data": "digits; 287 of the training images choose, the test images judge",
        "network": "3 hidden layers of 40",
        "batch": BATCH,
        "tuned": {"lr": [RATE.low, RATE.high], "scale": [SCALE.low, SCALE.high]},
        "trials": TRIALS,
        "tuning_seeds": TUNING_SEEDS,
        "chosen_by": "mean log of the steps to the target on validation images, for each target "
        "and budget anew",
        "targets": TARGETS,
        "budgets": BUDGETS,
        "looks": LOOKS,
        "not_reached": "counts as twice the budget",
        "edges": "how many of the chosen settings lie in the outer 5 % of their range",
        "no": "14 times fewer is not supported if the interval of the ratio lies below 14; that BN "
        "is faster at all, if it reaches 1 for any target or budget",
        "published": "Ioffe and Szegedy, section 4.2, steps to 72.2 %: Inception 31.0M, "
        "BN-Baseline 13.3M, BN-x5 2.1M, BN-x30 2.7M",
    },
    grid={"activation": ("sigmoid", "tanh", "relu"), "net": ("plain", "bn"),
          "seed": tuple(range(20))},
    run=run,
    summarise=summarise,
)  # fmt: skip
