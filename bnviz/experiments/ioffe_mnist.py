"""Section 4.1 of Ioffe and Szegedy (2015) on its own data: MNIST, 50,000 steps."""

from dataclasses import replace
from functools import cache
from typing import Any

from bnviz.experiments.contest import Contender, LogUniform
from bnviz.experiments.experiment import Row, between
from bnviz.experiments.ioffe import gaussian, look
from bnviz.experiments.stacked import SideBySide, SideBySideSweep, Stack, Task, train_stacked
from bnviz.experiments.statistics import steps_to
from bnviz.maths.data import Split, mnist
from bnviz.maths.prng import permutation

__all__ = ["CONTESTS", "IOFFE_MNIST"]

SIZES = (784, 100, 100, 100, 10)
BATCH, SIGMA, UNIT, STEPS = 60, 0.1, 0, 50_000
HELD_BACK = 10_000  # training images that choose, where something is tuned
PERCENTILES = (15, 50, 85)
RECORDED = (
    *(1, 2, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 400, 500, 600, 800),
    *(1000, 1250, 1500, 2000, 2500, 3000, 4000, 5000, 6000, 8000),
    *(10_000, 12_500, 15_000, 20_000, 25_000, 30_000, 35_000, 40_000, 45_000, 50_000),
)
RATES = (0.1, 0.5)
LEVELS = (0.8, 0.9, 0.95, 0.97)
AT = (1000, 5000, 10_000, 50_000)


def task(norm: bool) -> Task:
    """The paper's network; all examples of a minibatch share statistics."""
    return Task(SIZES, norm, BATCH, BATCH, activation="sigmoid")


def run(group: Row, data: Split | None = None) -> Row:
    """Train a network for each cell, side by side; look at the test images on the way."""
    cells, data = group["cells"], data or mnist(binary=True)
    of = replace(task(cells[0]["net"] == "bn"), sizes=(data.x_train.shape[1], *SIZES[1:]))
    net = of.net()
    starts = [gaussian(net, cell["seed"], SIGMA) for cell in cells]
    stack = Stack(of, cells, {cell["seed"]: data for cell in cells}, starts)
    rows: list[Row] = [
        {"accuracy": [], **{f"p{p}": [] for p in PERCENTILES}, "apart": []} for _ in cells
    ]
    done = 0
    for number in (n for n in RECORDED if n <= cells[0].get("steps", STEPS)):
        stack.advance(number - done)
        done = number
        for k, row in enumerate(rows):
            net.load_state_dict(stack.state(k))
            accuracy, track = look(net, data)  # track: (percentiles, units)
            row["accuracy"].append(accuracy)
            for p, value in zip(PERCENTILES, track[:, UNIT].tolist(), strict=True):
                row[f"p{p}"].append(value)
            row["apart"].append((track[2] - track[0]).median().item())
    return {"rows": [row | _looked_up(row["accuracy"]) for row in rows]}


def _looked_up(accuracy: list[float]) -> Row:
    """Of the curve what the ledger compares; None where the run is shorter."""
    return {
        f"after_{at}_steps": dict(zip(RECORDED, accuracy, strict=False)).get(at)
        for at in (1000, STEPS)
    }


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Accuracy at some steps and steps to some accuracies: median, smallest, largest seed."""
    found: dict[str, Any] = {}
    for net in ("plain", "bn"):
        for lr in RATES:
            runs = [row for row in rows if (row["net"], row["lr"]) == (net, lr)]
            found[f"{net} at {lr}".replace(".", ",")] = {
                "runs": len(runs),
                "accuracy": {str(at): between(_at(r["accuracy"], at) for r in runs) for at in AT},
                "steps_to": {
                    f"{level:.0%}": between(steps_to(r["accuracy"], RECORDED, level) for r in runs)
                    for level in LEVELS
                },
                "apart": {str(at): between(_at(r["apart"], at) for r in runs) for at in AT},
                "last_moves": between(_last_moves(row) for row in runs),
            }
    return found


def _at(curve: list[float], step: int) -> float:
    return curve[RECORDED.index(step)]


def _last_moves(row: Row) -> float:
    """How far the unit's median moves from step 10,000 on, as a fraction of its width at the end.

    The width is that from the 15th to the 85th percentile.
    """
    track = row["p50"][RECORDED.index(10_000) :]
    return round((max(track) - min(track)) / max(row["p85"][-1] - row["p15"][-1], 1e-9), 3)


_SETTINGS = {
    "data": "MNIST, 60,000 training and 10,000 test images; pixels of 128 and more (of 255) are 1, "
    "the others 0",
    "network": "3 hidden layers of 100 sigmoid units, softmax, cross-entropy",
    "batch": BATCH,
    "optimiser": "plain SGD (the paper does not say)",
    "accuracy": "in evaluation mode, with running statistics",
}

IOFFE_MNIST = SideBySideSweep(
    name="ioffe-mnist",
    title="Ioffe and Szegedy's figure 1 on MNIST, 50,000 steps",
    claims=("C03", "C07"),
    question="How do test accuracy and the input of one sigmoid develop, with and without BN?",
    settings=_SETTINGS
    | {
        "sigma": SIGMA,
        "sigma_note": "standard deviation of every weight (the paper: small random Gaussian)",
        "unit": f"unit {UNIT} of the last hidden layer, chosen before looking",
        "percentiles": "of what enters the sigmoid for the test images, with their statistics",
        "apart": "85th less 15th percentile, the median over all 100 units",
        "recorded": list(RECORDED),
        "device": "CPU, two cores",
        "no": "BN is not ahead of plain at 50,000 steps in all seeds, or needs as many steps to "
        "90 %, or the median of its unit moves more, from step 10,000 on, than that of the plain "
        "one, as a fraction of the width",
    },
    grid={"net": ("plain", "bn"), "lr": RATES, "seed": tuple(range(10))},
    run=run,
    summarise=summarise,
    notes=(
        "The paper states neither rate nor sigma; both are our choices, see ioffe-mnist-tuned.",
        "Keys of the summary have a comma for the decimal point.",
    ),
)


@cache
def splits() -> tuple[Split, Split]:
    """(fit, judge): the first 50,000 training images fit, the others choose; test images judge.

    MNIST's training images stand in no order of classes or writers that the cut would follow, but
    they are shuffled first all the same.
    """
    data = mnist(binary=True)
    order = permutation(len(data.x_train), 0, 0)
    x, y = data.x_train[order], data.y_train[order]
    fit = Split(x[HELD_BACK:], y[HELD_BACK:], x[:HELD_BACK], y[:HELD_BACK])
    return fit, Split(fit.x_train, fit.y_train, data.x_test, data.y_test)


def compete(group: Row) -> Row:
    """Train the cells of one contender side by side."""
    cells = group["cells"]
    of = task(cells[0]["norm"])
    starts = [gaussian(of.net(), cell["seed"], cell["sigma"]) for cell in cells]
    held = dict.fromkeys((cell["seed"] for cell in cells), splits())
    return {"rows": train_stacked(of, cells, cells[0]["steps"], held, starts)}


_SPACE = {"lr": LogUniform(0.01, 10), "sigma": LogUniform(0.01, 1)}

CONTESTS = (
    SideBySide(
        name="ioffe-mnist-tuned",
        title="Ioffe and Szegedy's section 4.1 on MNIST, rate and initial spread tuned",
        claims=("C03", "C23"),
        question="Is the network with BN still ahead when both have their own best settings?",
        fixed=_SETTINGS
        | {
            "held back": f"{HELD_BACK} training images choose, the 10,000 test images judge",
            "no": "the interval of BN less plain includes 0 at one of the budgets",
        },
        contenders=(
            Contender("bn", _SPACE, {"norm": True}),
            Contender("plain", _SPACE, {"norm": False}),
        ),
        run=compete,
        steps=25_000,
        trials=16,
        tuning_seeds=(100,),
        targets=(0.9, 0.95, 0.97),
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
    ),
)
