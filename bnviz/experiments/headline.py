"""How many steps to the accuracy of the net without BN? The headline of the paper, on digits."""

import contextlib

import torch

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import DivergenceError, Step, train

__all__ = ["BASES", "RUNS", "STEPS_RATIO"]

SIZES, BATCH = (64, 40, 40, 40, 10), 32
# name: activation, the plain net's best rate of the sweep `learning-rate` or a tenth of it
BASES = {
    "relu-best": ("relu", 0.215443),
    "relu-cautious": ("relu", 0.0215443),
    "sigmoid-best": ("sigmoid", 2.15443),
    "sigmoid-cautious": ("sigmoid", 0.215443),
}
# name: net, factor on the rate
RUNS = {"plain-x1": ("plain", 1), "plain-x5": ("plain", 5), "bn-x1": ("bn", 1),
        "bn-x5": ("bn", 5), "bn-x30": ("bn", 30)}  # fmt: skip
RECORDED = (*range(10, 201, 10), *range(225, 1001, 25))
STEPS = RECORDED[-1]


class _Watch:
    """Test accuracy in evaluation mode at the steps `RECORDED`."""

    def __init__(self, net: MLP):
        self.net, self.accuracy = net, []

    @torch.no_grad()
    def __call__(self, step: Step) -> None:
        if step.number in RECORDED:
            data = digits()
            logits = self.net.eval()(data.x_test)
            self.accuracy.append(measures.accuracy(logits, data.y_test).item())


def run(cell: Row) -> Row:
    """Train one network; its test accuracy at the recorded steps, null once it has diverged."""
    kind, factor = RUNS[cell["run"]]
    activation, base = BASES[cell["base"]]
    net = MLP(SIZES, norm=kind == "bn", activation=activation)
    net.load_state_dict(initialise(net, cell["seed"]))
    watch, steps = _Watch(net), cell.get("steps", STEPS)
    lr = factor * base
    with contextlib.suppress(DivergenceError):
        train(net, digits(), steps=steps, batch_size=BATCH, lr=lr, seed=cell["seed"],
              on_step=watch)  # fmt: skip
    missing = [float("nan")] * (len(RECORDED) - len(watch.accuracy))
    return {"lr": lr, "accuracy": watch.accuracy + missing}


def _first(curve: list[float | None], target: float) -> int | None:
    """The first recorded step at which a curve reaches the target."""
    good = (s for s, a in zip(RECORDED, curve, strict=True) if a is not None and a >= target)
    return next(good, None)


def summarise(rows: list[Row]) -> dict:
    """Steps to the best accuracy that the plain net of the same seed reaches at the base rate."""
    curves = {(r["base"], r["run"], r["seed"]): r["accuracy"] for r in rows}
    seeds = sorted({r["seed"] for r in rows})
    return {
        "recorded": list(RECORDED),
        "by_base": {
            base: {run: _compare(curves, base, run, seeds) for run in RUNS} for base in BASES
        },
    }


def _compare(curves: dict, base: str, run: str, seeds: list[int]) -> dict:
    steps, ratios, best = [], [], []
    for seed in seeds:
        plain, own = curves[base, "plain-x1", seed], curves[base, run, seed]
        target = max(a for a in plain if a is not None)
        first, before = _first(own, target), _first(plain, target)
        steps.append(first)
        ratios.append(rounded(before / first) if before and first else None)
        best.append(max((a for a in own if a is not None), default=0.0))
    return {
        "reached": sum(s is not None for s in steps),
        "steps": between(steps),
        "times_fewer": between(ratios),
        "best": between(best),
    }


STEPS_RATIO = Experiment(
    name="steps-ratio",
    title="Steps to the accuracy that the net without BN reaches",
    claims=("C32",),
    question="How many times fewer steps does BN take, at 1, 5 and 30 times the learning rate?",
    settings={
        "data": "digits",
        "network": "3 hidden layers of 40",
        "batch": BATCH,
        "steps": STEPS,
        "recorded": "every 10 steps, from 200 on every 25",
        "base": "the plain net's best rate of the sweep learning-rate, or a tenth of it (cautious)",
        "runs": "factor on the base rate",
        "target": "highest test accuracy of the plain net at the base rate, same seed",
        "times_fewer": "plain net's steps over these steps; only runs that reach the target",
        "published": "Ioffe and Szegedy, section 4.2, steps to 72.2 %: Inception 31.0M, "
        "BN-Baseline 13.3M, BN-x5 2.1M, BN-x30 2.7M",
    },
    grid={"base": tuple(BASES), "run": tuple(RUNS), "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
)
