"""Which estimate of the statistics is good enough at inference, and where that stops."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, BatchNorm, initialise
from bnviz.maths.train import Step, train

__all__ = ["ESTIMATES", "INFERENCE_ESTIMATES", "MOMENTS"]

MOMENTS = (20, 300)  # training steps after which the network is evaluated
MOMENTA = {"ema1000": 0.001, "ema100": 0.01, "ema10": 0.1, "ema1": 1.0}  # weight of the new value
ESTIMATES = (*MOMENTA, "cumulative", "population", "testbatch")
SHIFT = 1.0  # added to every pixel of the test images, which have standard deviation 1
Buffers = dict[str, Tensor]


def run(cell: Row) -> Row:
    """Train once; gather all running estimates beside the training, for they do not change it.

    The network's own momentum is 1, so its running values are those of the last batch, and each
    estimate takes a step of its own weight towards them.
    """
    net = MLP((64, 64, 64, 10), norm=True, activation="relu")
    net.load_state_dict(initialise(net, cell["seed"]))
    for norm in net.modules():
        if isinstance(norm, BatchNorm):
            norm.momentum.fill_(1.0)
    estimates = {name: _buffers(net) for name in ESTIMATES[:-2]}
    result: Row = {}

    def gather(step: Step) -> None:
        newest = _buffers(net)
        for name, weight in zip(ESTIMATES, (*MOMENTA.values(), 1 / step.number), strict=False):
            for key, value in estimates[name].items():
                value.lerp_(newest[key], weight)
        if step.number in MOMENTS:
            result.update(_measured(net, estimates, step.number, cell["batch"]))

    train(net, digits(), steps=MOMENTS[-1], batch_size=cell["batch"], lr=0.1, seed=cell["seed"],
          on_step=gather)  # fmt: skip
    return result


def _buffers(net: MLP) -> Buffers:
    """What the network tracks and does not learn: its running statistics."""
    learned = dict(net.named_parameters())
    return {k: v.clone() for k, v in net.state_dict().items() if k not in learned}


def _measured(net: MLP, estimates: dict[str, Buffers], step: int, m: int) -> Row:
    """Accuracy and loss on the test set and on brighter test images, for each estimate."""
    data, found = digits(), {}
    with torch.no_grad():
        net.train()(data.x_train)  # momentum 1: the running values are now the population's
        every = {**estimates, "population": _buffers(net), "testbatch": None}
        for name, buffers in every.items():
            for tests, x in (("", data.x_test), ("_shifted", data.x_test + SHIFT)):
                logits = _logits(net, buffers, x, m)
                key = f"{name}_{step}{tests}"
                found[f"{key}_acc"] = measures.accuracy(logits, data.y_test).item()
                found[f"{key}_loss"] = cross_entropy(logits, data.y_test).item()
    return found


def _logits(net: MLP, buffers: Buffers | None, x: Tensor, m: int) -> Tensor:
    """In evaluation mode with these buffers; without any, batch by batch in training mode."""
    if buffers is not None:
        net.load_state_dict(buffers, strict=False)
        return net.eval()(x)
    net.train()
    parts = [net(x[k : k + m]) for k in range(0, len(x) - m + 1, m)]
    rest = len(x) % m
    return torch.cat([*parts, net(x[-m:])[m - rest :]]) if rest else torch.cat(parts)


def summarise(rows: list[Row]) -> dict[str, Any]:
    """For each batch size, estimate and moment: accuracy and loss over the seeds."""
    keys = [key for key in rows[0] if key not in ("batch", "seed")]
    return {
        f"batch{batch}": {key: between(r[key] for r in rows if r["batch"] == batch) for key in keys}
        for batch in sorted({row["batch"] for row in rows})
    }


INFERENCE_ESTIMATES = Experiment(
    name="inference-estimates",
    title="Estimates of the statistics at inference",
    claims=("C21", "C22"),
    question="Which estimate of mean and variance is good enough at inference, and when is none?",
    settings={
        "network": "MLP 64-64-64-10, relu, BN before the activation",
        "data": "digits, 1437 training and 360 test images",
        "optimiser": "SGD, lr 0.1",
        "evaluated after steps": MOMENTS,
        "shift": SHIFT,
        "estimates": {**MOMENTA, "cumulative": "1/k in batch k"},
        "population": "the training set as one batch, after the step",
        "testbatch": "test images normalise themselves, in batches of the same size",
        "variance": "unbiased in every estimate; biased where a batch normalises itself",
    },
    grid={"batch": (2, 4, 8, 32, 128), "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
)
