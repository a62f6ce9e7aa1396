"""Who is in the batch: examples that came sorted to the devices, and what one learns of others."""

from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import initialise
from bnviz.maths.relatives import BlockNet, Relative

__all__ = ["BATCH_MATES", "SORTED_DEVICES"]

DEVICES, EACH, STEPS, RATE, SCALE = 10, 16, 200, 0.1, 2**0.5


# --- sorted-devices ------------------------------------------------------------------------------


def run_sorted(cell: Row) -> Row:
    """Ten devices, one gradient; accuracies with the running values of one device, and of all."""
    data, kind = digits(), "group" if cell["norm"] == "group" else "batch"
    net = BlockNet(kind).train()
    weights = initialise(net, cell["seed"], SCALE)
    own = [k for k in weights if "running" in k]
    parts = 1 if cell["norm"] == "bn, shared" else DEVICES
    running = [{k: weights[k].clone() for k in own} for _ in range(parts)]
    generator = torch.Generator().manual_seed(cell["seed"])
    learned, loss = [k for k, _ in net.named_parameters()], torch.tensor(torch.nan)
    for _ in range(cell.get("steps", STEPS)):
        rows = _rows(cell["order"], generator).reshape(parts, -1)
        values = {k: weights[k].detach().requires_grad_() for k in learned}
        losses = []
        for device, local in zip(running, rows, strict=True):
            held = {**values, **device}
            losses.append(F.cross_entropy(functional_call(net, held, (data.x_train[local],)),
                                          data.y_train[local]))  # fmt: skip
            device.update({k: held[k] for k in own})  # functional_call leaves the new ones there
        loss = torch.stack(losses).mean()
        for k, g in zip(learned, torch.autograd.grad(loss, list(values.values())), strict=True):
            weights[k] = weights[k] - RATE * g
    mean = {k: torch.stack([d[k] for d in running]).mean(0) for k in own}
    return {
        "first": _accuracy(net, weights | running[0]),
        "averaged": _accuracy(net, weights | mean),
        "loss": loss.item(),
    }


def _rows(order: str, generator: torch.Generator) -> Tensor:
    """The rows of a step, one device after the other: of all classes, or of few on each device."""
    y = digits().y_train
    scores = torch.rand(len(y), generator=generator)
    if order == "shuffled":
        return scores.topk(DEVICES * EACH).indices
    few = 2 if order == "two classes" else 1  # device k has class k, and perhaps the next one
    chosen = [
        scores.masked_fill(y != (k + i) % DEVICES, -1.0).topk(EACH // few).indices
        for k in range(DEVICES)
        for i in range(few)
    ]
    return torch.cat(chosen)


def _accuracy(net: BlockNet, values: dict[str, Tensor]) -> float:
    data = digits()
    with torch.no_grad():
        logits = functional_call(net.eval(), values, (data.x_test,))
    net.train()
    return measures.accuracy(logits, data.y_test).item()


def summarise_sorted(rows: list[Row]) -> dict[str, Any]:
    """Over the seeds, by norm and order."""
    return {
        f"{norm}, {order}": {
            key: between(r[key] for r in rows if (r["norm"], r["order"]) == (norm, order))
            for key in ("first", "averaged", "loss")
        }
        for norm in SORTED_DEVICES.grid["norm"]
        for order in SORTED_DEVICES.grid["order"]
    }


SORTED_DEVICES = Experiment(
    name="sorted-devices",
    title="Ten devices, and data that came to them shuffled or by class",
    claims=("C44",),
    question="What do batches of one class or two do to a network with BN, if the gradient is that "
    "of all classes all the same?",
    settings={
        "data": "digits",
        "network": "maths.relatives.BlockNet, initial scale sqrt(2)",
        "training": f"{STEPS} steps of rate {RATE}; {DEVICES} devices with {EACH} examples each, "
        "the gradient is the mean over all of them",
        "norm": "bn, own: statistics of each device; bn, shared: of all of them; group: none",
        "two classes, one class": "device k has digits of class k, and of k + 1 or not",
        "first": "test accuracy with the running values of the first device",
        "averaged": "test accuracy with the running values averaged over the devices",
        "no": "sorted data harm BN only if with statistics of their own devices it loses more than "
        "0.05 accuracy against shuffled data, by the better one of first and averaged values; and "
        "it is the statistics only if group and shared BN lose less than 0.02",
    },
    grid={
        "norm": ("bn, own", "bn, shared", "group"),
        "order": ("shuffled", "two classes", "one class"),
        "seed": tuple(range(8)),
    },
    run=run_sorted,
    summarise=summarise_sorted,
)


# --- batch-mates ---------------------------------------------------------------------------------

UNITS, PROBED = 64, 600


@cache
def _pixels() -> Tensor:
    return digits().x_train


def run_mates(cell: Row) -> Row:
    """Two companies of digits. Which of them was an example normalised with?

    A linear probe is fitted to the outputs of one half of the examples and judged on the other. A
    company is the same all the time ("fixed"), or drawn anew for every example ("fresh"): then it
    is a coin that the probe is asked for.
    """
    generator = torch.Generator().manual_seed(cell["seed"])
    weight = torch.randn(64, UNITS, generator=generator) / 8
    z = _pixels() @ weight  # (n, units)
    order = torch.randperm(len(z), generator=generator)
    mates, examples = cell["size"] - 1, order[:PROBED]
    rest = order[PROBED:]
    companies = (rest[:mates], rest[mates : 2 * mates])
    label = torch.randint(2, (PROBED,), generator=generator)
    layer = Relative(cell["norm"], UNITS, groups=4).train()
    outputs = []
    for i, company in zip(examples, label, strict=True):
        with_ = companies[int(company)]
        if cell["mates"] == "fresh":
            with_ = rest[torch.randperm(len(rest), generator=generator)[:mates]]
        batch = torch.cat([z[i : i + 1], z[with_]])
        outputs.append(torch.relu(layer(batch))[0].detach())
    return {"accuracy": _probe(torch.stack(outputs).double(), label)}


def _probe(h: Tensor, label: Tensor) -> float:
    """Accuracy on the second half of a ridge regression on the first."""
    half = len(h) // 2
    h = torch.cat([h, torch.ones(len(h), 1, dtype=h.dtype)], 1)
    x, y = h[:half], 2 * label[:half].to(h.dtype) - 1
    w = torch.linalg.solve(x.T @ x + torch.eye(h.shape[1], dtype=h.dtype), x.T @ y)
    return ((h[half:] @ w > 0) == (label[half:] > 0)).double().mean().item()


def summarise_mates(rows: list[Row]) -> dict[str, Any]:
    """Over the seeds, by norm, size and company."""
    found: dict[str, list[float]] = {}
    for row in rows:
        name = f"{row['norm']}, {row['size']}, {row['mates']}"
        found.setdefault(name, []).append(row["accuracy"])
    return {name: between(values) for name, values in found.items()}


BATCH_MATES = Experiment(
    name="batch-mates",
    title="Which batch was this example in? A linear probe on the outputs of one layer",
    claims=("C45",),
    question="Does an example's output tell who was in its batch?",
    settings={
        "layer": f"random linear layer, 64 to {UNITS}, normaliser, ReLU; untrained",
        "probe": f"ridge regression, penalty 1, on {PROBED // 2} examples; accuracy on as many "
        "others",
        "companies": "two sets of digits that are no examples of the probe; chance is 0.5",
        "no": "BN's outputs tell of the others only if the probe is right more often than with "
        "layer normalisation by 0.2 at every size, and no longer so with fresh companies",
    },
    grid={
        "norm": ("batch", "layer", "group"),
        "size": (4, 16, 64),
        "mates": ("fixed", "fresh"),
        "seed": tuple(range(8)),
    },
    run=run_mates,
    summarise=summarise_mates,
)
