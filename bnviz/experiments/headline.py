"""How many steps to the accuracy of the net without BN? The headline of the paper, on digits."""

import itertools

import torch

from bnviz import measures
from bnviz.data import digits
from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.nets import MLP, initialise
from bnviz.train import DivergenceError, Step, train

__all__ = ["BASES", "RUNS", "STEPS_RATIO"]

SIZES, BATCH = (64, 40, 40, 40, 10), 32
# the plain net's best rate of the sweep `learning-rate`, and a tenth of it
BASES = {
    ("relu", "best"): 0.215443,
    ("relu", "cautious"): 0.0215443,
    ("sigmoid", "best"): 2.15443,
    ("sigmoid", "cautious"): 0.215443,
}
RUNS = (("plain", 1), ("plain", 5), ("bn", 1), ("bn", 5), ("bn", 30))  # net, factor on the rate
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
    net = MLP(SIZES, norm=cell["net"] == "bn", activation=cell["activation"])
    net.load_state_dict(initialise(net, cell["seed"]))
    watch, steps = _Watch(net), cell.get("steps", STEPS)
    lr = cell["factor"] * BASES[cell["activation"], cell["base"]]
    try:
        train(net, digits(), steps=steps, batch_size=BATCH, lr=lr, seed=cell["seed"],
              on_step=watch)  # fmt: skip
    except DivergenceError:
        pass
    missing = [float("nan")] * (len(RECORDED) - len(watch.accuracy))
    return {"lr": lr, "accuracy": watch.accuracy + missing}


def _first(curve: list[float | None], target: float) -> int | None:
    """The first recorded step at which a curve reaches the target."""
    good = (s for s, a in zip(RECORDED, curve, strict=True) if a is not None and a >= target)
    return next(good, None)


def summarise(rows: list[Row]) -> dict:
    """Steps to the best accuracy that the plain net of the same seed reaches at the base rate."""
    found = {(r["activation"], r["base"], r["net"], r["factor"], r["seed"]): r for r in rows}
    seeds = sorted({r["seed"] for r in rows})
    summary: dict = {"recorded": list(RECORDED), "settings": {}}
    for (activation, base), (net, factor) in itertools.product(BASES, RUNS):
        steps, ratios, best, reached = [], [], [], 0
        for seed in seeds:
            plain = found[activation, base, "plain", 1, seed]["accuracy"]
            own = [a for a in found[activation, base, net, factor, seed]["accuracy"] if a]
            target = max(a for a in plain if a is not None)
            first = _first(found[activation, base, net, factor, seed]["accuracy"], target)
            best.append(max(own, default=0.0))
            steps.append(first)
            ratios.append(_first(plain, target) / first if first else None)
            reached += first is not None
        summary["settings"][f"{activation} {base} {net} x{factor}"] = {
            "reached": reached,
            "steps": between(steps),
            "times_fewer": between(ratios),
            "best": between(best),
        }
    return summary


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
        "target": "highest test accuracy of the plain net at the base rate, same seed",
        "times_fewer": "plain net's steps over these steps; only runs that reach the target",
        "published": "Ioffe and Szegedy, section 4.2, steps to 72.2 %: Inception 31.0M, "
        "BN-Baseline 13.3M, BN-x5 2.1M, BN-x30 2.7M",
    },
    cells=tuple(
        {"activation": activation, "base": base, "net": net, "factor": factor, "seed": seed}
        for (activation, base), (net, factor), seed in itertools.product(BASES, RUNS, range(5))
    ),
    run=run,
    summarise=summarise,
)
