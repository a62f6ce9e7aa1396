"""Dropout in front of BN or behind it: the variance that training saw is not that of evaluation."""

from statistics import median
from typing import Any

import torch
from torch import nn

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.train import train

__all__ = ["DROPOUT_SHIFT"]

STEPS, BATCH, RATE, WIDTH, DEPTH = 600, 32, 0.1, 64, 3


def _network(place: str, p: float) -> nn.Sequential:
    """Linear, BN, ReLU, three times. Dropout stands in front of each later linear layer, and so in
    front of its BN ("front"), or only in front of the head, behind all BN ("behind")."""
    parts: list[nn.Module] = []
    for layer in range(DEPTH):
        if place == "front" and layer:
            parts.append(nn.Dropout(p))
        parts += [nn.Linear(WIDTH, WIDTH, bias=False), nn.BatchNorm1d(WIDTH), nn.ReLU()]
    if place == "behind":
        parts.append(nn.Dropout(p))
    return nn.Sequential(*parts, nn.Linear(WIDTH, 10))


def run(cell: Row) -> Row:
    """Train; compare the running variances with those of evaluation; measure both accuracies."""
    torch.manual_seed(cell["seed"])
    data, net = digits(), _network(cell["place"], cell["p"])
    train(net, data, steps=STEPS, batch_size=BATCH, lr=RATE, seed=cell["seed"])
    norms = [m for m in net if isinstance(m, nn.BatchNorm1d)]
    # The population's statistics as evaluation sees it: BN in training mode, Dropout off.
    trained = [n.running_var.clone() for n in norms if n.running_var is not None]
    if cell["estimate"] == "without dropout":
        _reestimate(net.eval(), norms, data.x_train)
    with torch.no_grad():
        accuracy = measures.accuracy(net.eval()(data.x_test), data.y_test).item()
    _reestimate(net.eval(), norms, data.x_train)
    now = [n.running_var for n in norms if n.running_var is not None]
    ratios = [(a / b).median().item() for a, b in zip(trained, now, strict=True)]
    return {"accuracy": accuracy, "ratio": ratios[-1]}


@torch.no_grad()
def _reestimate(net: nn.Sequential, norms: list[nn.BatchNorm1d], x: torch.Tensor) -> None:
    """All training images as one batch; every layer sees those before it as they are now."""
    for norm in norms:
        norm.momentum = 1.0  # PyTorch's: the weight of the new value
        norm.train()
    net(x)
    for norm in norms:
        norm.eval()


def summarise(rows: list[Row]) -> dict[str, Any]:
    """By place and p: variance in training over that in evaluation, and what it costs."""
    found: dict[str, Any] = {}
    for place in dict.fromkeys(row["place"] for row in rows):
        for p in dict.fromkeys(row["p"] for row in rows):
            of = [row for row in rows if (row["place"], row["p"]) == (place, p)]
            by = {(row["estimate"], row["seed"]): row["accuracy"] for row in of}
            seeds = sorted({row["seed"] for row in of})
            costs = [by["without dropout", s] - by["as trained", s] for s in seeds]
            found[f"{place}, {p:.0%}"] = {
                "ratio": between(row["ratio"] for row in of),
                "cost": round(median(costs), 4),
            }
    return found


DROPOUT_SHIFT = Experiment(
    name="dropout-shift",
    title="Dropout in front of BN shifts the variance in evaluation",
    claims=("C22", "C33"),
    question="How far are the running variances from those of evaluation, Dropout being off, and "
    "what does it cost?",
    settings={
        "network": f"{DEPTH} hidden ReLU layers of {WIDTH} with BN",
        "training": f"{STEPS} steps, batches of {BATCH}, rate {RATE}",
        "front": "Dropout in front of the second and third linear layer, and so of their BN",
        "behind": "Dropout in front of the last linear layer, behind all BN",
        "no": "the ratio of variances in front is 1, or measuring them anew changes no accuracy",
    },
    grid={
        "place": ("front", "behind"),
        "p": (0.0, 0.2, 0.5),
        "estimate": ("as trained", "without dropout"),
        "seed": tuple(range(10)),
    },
    run=run,
    summarise=summarise,
    notes=("ratio: median over the units of the last BN.",),
)
