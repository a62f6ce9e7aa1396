"""The test batch's own statistics, when the order of the test images is not random."""

from functools import cache
from typing import Any

import torch

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.maths import measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.train import train

__all__ = ["TEST_ORDER"]

STEPS, BATCH, RATE = 300, 32, 0.1
BRIGHTER = 1.0  # added to every pixel, whose standard deviation over all images is 1


@cache
def _trained(seed: int) -> MLP:
    net = MLP((64, 64, 64, 10), norm=True, activation="relu")
    net.load_state_dict(initialise(net, seed))
    train(net, digits(), steps=STEPS, batch_size=BATCH, lr=RATE, seed=seed)
    return net


def run(cell: Row) -> Row:
    """Accuracy on the test images, batch by batch; the running values stay as they are."""
    net, data = _trained(cell["seed"]), digits()
    generator = torch.Generator().manual_seed(cell["seed"])
    order = torch.randperm(len(data.x_test), generator=generator)
    if cell["order"] == "by class":
        order = order[data.y_test[order].argsort(stable=True)]
    x = data.x_test[order] + (BRIGHTER if cell["images"] == "brighter" else 0.0)
    kept = {k: v.clone() for k, v in net.state_dict().items()}
    net.train(cell["statistics"] == "own")
    with torch.no_grad():
        parts = [net(part) for part in x.split(cell["size"])]
    net.load_state_dict(kept)  # training mode has moved the running values
    return {"accuracy": measures.accuracy(torch.cat(parts), data.y_test[order]).item()}


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Accuracy over the seeds, by statistics, order, images and size."""
    keys = ("statistics", "order", "images", "size")
    found: dict[str, list[float]] = {}
    for row in rows:
        name = ", ".join(str(row[key]) for key in keys)
        found.setdefault(name, []).append(row["accuracy"])
    return {name: between(values) for name, values in found.items()}


TEST_ORDER = Experiment(
    name="test-order",
    title="Statistics of the test batch itself, with test images in random order or by class",
    claims=("C22",),
    question="Are the test batch's own statistics the best choice for images that differ from the "
    "training images?",
    settings={
        "network": "2 hidden ReLU layers of 64 with BN",
        "training": f"{STEPS} steps, batches of {BATCH}, rate {RATE}",
        "brighter": f"{BRIGHTER:g} added to every pixel",
        "no": "own statistics are not better than running ones on brighter images, or worse than "
        "them once the images come by class",
    },
    grid={
        "statistics": ("own", "running"),
        "order": ("random", "by class"),
        "images": ("ordinary", "brighter"),
        "size": (16, 60),
        "seed": tuple(range(10)),
    },
    run=run,
    summarise=summarise,
    notes=("360 test images: batches of 16 leave one of 8, which counts as well.",),
)
