"""How much time folding BN saves at inference, side by side."""

import statistics
import time
from typing import Any

import torch
from torch import Tensor, nn

from bnviz.experiments.experiment import Experiment, Row
from bnviz.maths.fold import fold

__all__ = ["FOLDING_SPEED"]

REPEATS = 300


def run(cell: Row) -> Row:
    """Median times of the layer with its BN and of the folded layer, taken in turn; the ratio."""
    torch.manual_seed(cell["seed"])
    if cell["layer"] == "linear":
        layer, bn, x = nn.Linear(256, 256), nn.BatchNorm1d(256), torch.randn(cell["batch"], 256)
    else:
        layer, bn = nn.Conv2d(16, 16, 3, padding=1), nn.BatchNorm2d(16)
        x = torch.randn(cell["batch"], 16, 16, 16)
    layer, bn = layer.eval(), bn.eval()
    nets = {"with_bn": nn.Sequential(layer, bn), "folded": fold(layer, bn)}
    seconds: dict[str, list[float]] = {name: [] for name in nets}
    for _ in range(REPEATS):
        for name, net in nets.items():
            seconds[name].append(_seconds(net, x))
    both, folded = (statistics.median(s[REPEATS // 10 :]) for s in seconds.values())
    return {"with_bn_us": 1e6 * both, "folded_us": 1e6 * folded, "ratio": both / folded}


def _seconds(net: nn.Module, x: Tensor) -> float:
    with torch.inference_mode():
        start = time.perf_counter()
        net(x)
        return time.perf_counter() - start


def summarise(rows: list[Row]) -> dict[str, Any]:
    """The ratios, by layer and batch size."""
    return {f"{row['layer']}_{row['batch']}": row["ratio"] for row in rows}


FOLDING_SPEED = Experiment(
    name="folding-speed",
    title="What folding BN into the layer before it saves",
    claims=("C22",),
    question="How many times longer do a layer and its BN take than the folded layer?",
    settings={
        "linear": "256 to 256 features",
        "convolution": "16 to 16 channels, 3 x 3, on 16 x 16 positions",
        "threads": 1,
        "repeats": f"{REPEATS}, in turn; medians without the first tenth",
    },
    grid={"layer": ("linear", "convolution"), "batch": (1, 64), "seed": (0,)},
    run=run,
    summarise=summarise,
    serial=True,
    notes=("Times depend on the machine; each ratio was measured in one run, in turn.",),
)
