"""Which learning rates train a network? Final accuracy over five decades of rates."""

import itertools
from statistics import mean

import torch

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.experiments.statistics import steps_to
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import ACTIVATIONS, MLP, initialise
from bnviz.maths.train import DivergenceError, train

__all__ = ["LEARNING_RATE", "NETS", "RATES", "RATES_SCALED", "SIZES", "THRESHOLDS", "band"]

RATES = tuple(round(10 ** (k / 3), 6) for k in range(-9, 7))  # 0.001 to 100, three in a decade
SIZES = (64, 40, 40, 40, 10)
STEPS, BATCH = 300, 32
THRESHOLDS = (80, 90, 95)  # per cent
NETS = ("plain", "bn")


def run(cell: Row) -> Row:
    """Train one network at one rate; test accuracy with running statistics, loss at the end.

    A run that diverges has an accuracy of 0.1, that of guessing.
    """
    data = digits()
    net = MLP(SIZES, norm=cell["net"] == "bn", activation=cell["activation"])
    net.load_state_dict(initialise(net, cell["seed"]))
    steps = cell.get("steps", STEPS)
    try:
        losses = train(net, data, steps=steps, batch_size=BATCH, lr=cell["lr"], seed=cell["seed"])
    except DivergenceError as error:
        return {"accuracy": 0.1, "loss": None, "diverged": error.step}
    with torch.no_grad():
        found = measures.accuracy(net.eval()(data.x_test), data.y_test).item()
    return {"accuracy": found, "loss": mean(losses[-min(50, steps) :]), "diverged": 0}


def band(curve: list[float], rates: tuple[float, ...], threshold: float) -> dict:
    """The longest run of neighbouring rates at which a curve reaches the threshold.

    Returns:
        low, high: its end points, None if it is empty; rates: how many; decades: log10(high / low),
        a lower bound, since the next rate on either side fails.

    >>> band([0.1, 0.9, 0.95, 0.2], (0.01, 0.1, 1.0, 10.0), 0.9)
    {'low': 0.1, 'high': 1.0, 'rates': 2, 'decades': 1.0}
    """
    runs = [
        list(group)
        for good, group in itertools.groupby(range(len(curve)), key=lambda k: curve[k] >= threshold)
        if good
    ]
    if not runs:
        return {"low": None, "high": None, "rates": 0, "decades": 0.0}
    places = max(runs, key=len)
    low, high = rates[places[0]], rates[places[-1]]
    decades = torch.tensor(high / low).log10().item()
    return {"low": low, "high": high, "rates": len(places), "decades": round(decades, 1)}


def summarise(rows: list[Row]) -> dict:
    """Curves of accuracy against rate over the seeds; bands in which EVERY seed trains."""
    summary: dict = {"rates": list(RATES), "curves": {}, "bands": {}, "best": {}}
    for activation, net in itertools.product(ACTIVATIONS, NETS):
        chosen = [r for r in rows if (r["activation"], r["net"]) == (activation, net)]
        by_rate = [[r["accuracy"] for r in chosen if r["lr"] == lr] for lr in RATES]
        spread = [between(values) for values in by_rate]
        key = f"{activation}-{net}"
        summary["curves"][key] = {k: [s[k] for s in spread] for k in ("median", "min", "max")}
        worst = [s["min"] for s in spread]
        summary["bands"][key] = {str(t): band(worst, RATES, t / 100) for t in THRESHOLDS}
        top = max(range(len(RATES)), key=lambda k: spread[k]["median"])
        summary["best"][key] = {"lr": RATES[top], **spread[top]}
    return summary


LEARNING_RATE = Experiment(
    name="learning-rate",
    title="Final accuracy against the learning rate, with and without BN",
    claims=("C23", "C33"),
    question="How many decades of learning rates train the network in every seed?",
    settings={
        "data": "digits",
        "network": "3 hidden layers of 40",
        "initial_scale": 1,
        "steps": STEPS,
        "batch": BATCH,
        "accuracy": "on the test images, in evaluation mode: with running statistics",
        "bands": f"every seed reaches {', '.join(map(str, THRESHOLDS))} %",
    },
    grid={"activation": ACTIVATIONS, "net": NETS, "lr": RATES, "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
    notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
)


# --- the same with the best scale for each network -----------------------------------------------

WIDE, SCALES, BUDGETS, REACHED = RATES[3:15], (1.0, 2.0, 4.0, 8.0), (100, 200, 400), 0.9
LOOKS = tuple(sorted({*range(20, BUDGETS[-1] + 1, 20), *BUDGETS}))


def run_scaled(cell: Row) -> Row:
    """Train one network; accuracies after the budgets, and steps to 90 % on the test images."""
    from bnviz.experiments.compiled import trainer  # a compiler is not needed to read a result

    network = trainer(BATCH, sizes=SIZES, norm=cell["net"] == "bn", activation=cell["activation"])
    looks = cell.get("looks", LOOKS)
    curves = network.scores(looks, lr=cell["lr"], scale=cell["scale"], seed=cell["seed"])
    at = [looks.index(budget) for budget in BUDGETS if budget in looks]
    return {
        "validation": [curves["validation"][k] for k in at],
        "test": [curves["test"][k] for k in at],
        "steps": steps_to(curves["test"], looks, REACHED),
    }


def summarise_scaled(rows: list[Row]) -> dict:
    """Bands in which every seed reaches 90 %, at the scale that makes the band widest."""
    summary: dict = {"rates": list(WIDE), "scales": list(SCALES)}
    for activation, net in itertools.product(ACTIVATIONS, NETS):
        own = [r for r in rows if (r["activation"], r["net"]) == (activation, net)]
        summary[f"{activation}-{net}"] = {
            str(budget): _widest(own, k) for k, budget in enumerate(BUDGETS)
        }
    return summary


def _widest(rows: list[Row], k: int) -> Row:
    """The scale is chosen on validation images, the band is that of the test images."""

    def worst(key: str, scale: float) -> list[float]:
        return [min(r[key][k] for r in rows if (r["lr"], r["scale"]) == (lr, scale)) for lr in WIDE]

    def width(scale: float) -> tuple:
        found = worst("validation", scale)
        return band(found, WIDE, REACHED)["rates"], max(found)

    scale = max(SCALES, key=width)
    steps = {lr: [r["steps"] for r in rows if (r["lr"], r["scale"]) == (lr, scale)] for lr in WIDE}
    arrived = {lr: max(s) for lr, s in steps.items() if None not in s}
    fastest = min(arrived, key=lambda lr: arrived[lr], default=None)
    return {
        "scale": scale,
        **band(worst("test", scale), WIDE, REACHED),
        "best": max(worst("test", scale)),
        "fastest": fastest,
        "steps": between(steps[fastest])["median"] if fastest else None,
    }


RATES_SCALED = Experiment(
    name="rates-scaled",
    title="The band of learning rates, at the best initial scale of each network",
    claims=("C23",),
    question="How many decades of rates train a network whose initial scale suits it?",
    settings={
        "data": "digits; 287 of the training images choose the scale, the test images judge",
        "network": "3 hidden layers of 40",
        "batch": BATCH,
        "budgets": BUDGETS,
        "looks": LOOKS,
        "band": f"every seed reaches {REACHED}; the scale is the one with the widest band on "
        "validation images",
        "steps": "to 0.9 on the test images, null if never; of the fastest rate that all seeds "
        "train with",
        "no": "a larger band is not supported if the plain network's, at its own best scale, is as "
        "wide at any of the budgets",
    },
    grid={"activation": ACTIVATIONS, "net": NETS, "scale": SCALES, "lr": WIDE, "seed": (0, 1, 2)},
    run=run_scaled,
    summarise=summarise_scaled,
)
