"""How deep can a sigmoid or tanh network be and still train, and what reaches its first layer?"""

import itertools
import math

import torch
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.maths.train import DivergenceError, train

__all__ = ["DEPTH", "DEPTHS"]

DEPTHS = (2, 5, 10, 20, 40)
RATES = (0.03, 0.3, 3.0)
ACTIVATIONS = ("sigmoid", "tanh")
WIDTH, STEPS, BATCH, PROBE = 32, 200, 64, 256
TRAINS = 0.8
# name: BN, initial scale; the plain net has two, because with BN the scale hardly matters
NETS = {"plain": (False, 1.0), "plain-wide": (False, 4.0), "bn": (True, 1.0)}


def run(cell: Row) -> Row:
    """Train one network; its gradient and saturation at the start, saturation and accuracy after.

    gradient: log10 of the norm of dL/dW in hidden layer 1 over that in the last hidden layer.
    saturated: share of pre-activations where the slope is below 10 % of its largest, mean over the
    layers.
    """
    data, depth = digits(), cell["depth"]
    sizes = (64, *[WIDTH] * depth, 10)
    norm, scale = NETS[cell["net"]]
    net = MLP(sizes, norm=norm, activation=cell["activation"])
    net.load_state_dict(initialise(net, cell["seed"], scale))
    start = {"gradient": _gradient_ratio(net), "saturated": _saturated(net)}
    steps = cell.get("steps", STEPS)
    try:
        train(net, data, steps=steps, batch_size=BATCH, lr=cell["lr"], seed=cell["seed"])
    except DivergenceError:
        return {**start, "saturated_end": None, "accuracy": 0.1}
    with torch.no_grad():
        found = measures.accuracy(net.eval()(data.x_test), data.y_test).item()
    return {**start, "saturated_end": _saturated(net), "accuracy": found}


def _gradient_ratio(net: MLP) -> float:
    """NaN when a gradient has underflowed to 0."""
    data = digits()
    weights = [net.layers[0].linear.weight, net.layers[-1].linear.weight]
    state = {k: v.clone() for k, v in net.state_dict().items()}
    loss = F.cross_entropy(net.train()(data.x_train[:PROBE]), data.y_train[:PROBE])
    first, last = (g.norm().item() for g in torch.autograd.grad(loss, weights))
    net.load_state_dict(state)  # the running statistics have moved
    return math.log10(first / last) if first > 0 and last > 0 else math.nan


@torch.no_grad()
def _saturated(net: MLP) -> float:
    """On training images, normalised as in training."""
    state = {k: v.clone() for k, v in net.state_dict().items()}
    with inputs_of(net.activations) as seen:
        net.train()(digits().x_train[:PROBE])
    net.load_state_dict(state)
    v = torch.stack([a.flatten() for a in seen])
    return measures.saturated(v, net.activations[0].index).mean().item()


def summarise(rows: list[Row]) -> dict:
    """For each activation, net and depth: the best setting by the median over its seeds."""
    summary: dict = {"depths": list(DEPTHS), "best": {}, "trains_up_to": {}}
    for activation, norm in itertools.product(ACTIVATIONS, (False, True)):
        key = f"{activation}-{'bn' if norm else 'plain'}"
        nets = [name for name, (with_bn, _) in NETS.items() if with_bn == norm]
        chosen = [r for r in rows if r["activation"] == activation and r["net"] in nets]
        best = [_best([r for r in chosen if r["depth"] == depth]) for depth in DEPTHS]
        summary["best"][key] = {name: [b[name] for b in best] for name in best[0]}
        good = [d for d, b in zip(DEPTHS, best, strict=True) if b["min"] >= TRAINS]
        summary["trains_up_to"][key] = max(good, default=0)
    return summary


def _best(rows: list[Row]) -> dict:
    """Accuracy over the seeds at the rate and scale with the highest median."""
    found = []
    for net, lr in sorted({(r["net"], r["lr"]) for r in rows}):
        same = [r for r in rows if (r["net"], r["lr"]) == (net, lr)]
        gradient = between(r["gradient"] for r in same)
        found.append({
            "scale": NETS[net][1], "lr": lr, **between(r["accuracy"] for r in same),
            "gradient": gradient["median"],
            "saturated": between(r["saturated"] for r in same)["median"],
            "saturated_end": between(r["saturated_end"] for r in same)["median"],
        })  # fmt: skip
    return max(found, key=lambda f: (f["median"], f["min"]))


DEPTH = Experiment(
    name="depth",
    title="How deep a sigmoid or tanh network can be and still train",
    claims=("C27",),
    question="Up to which depth does a net with saturating units train, each at its best rate?",
    settings={
        "data": "digits",
        "network": f"hidden layers of {WIDTH}",
        "nets": "initial scale: plain 1, plain-wide 4, bn 1",
        "steps": STEPS,
        "batch": BATCH,
        "gradient": "log10 ||dL/dW|| of hidden layer 1 over the last hidden layer, before training",
        "saturated": "slope below 10 % of its largest; before training, and at the end",
        "best": "the setting with the highest median over the seeds; plain also chooses the scale",
        "trains_up_to": f"largest depth at which every seed reaches {TRAINS}",
    },
    grid={"activation": ACTIVATIONS, "net": tuple(NETS), "depth": DEPTHS, "lr": RATES,
          "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
)  # fmt: skip
