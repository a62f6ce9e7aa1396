"""What a normalisation costs in time and memory, forward and backward, in turns with none."""

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks

from bnviz.experiments.experiment import Experiment, Row

__all__ = ["BN_COST"]

REPEATS = 60
LINEAR, CONVOLUTION = "linear", "convolution"
SIZES = {LINEAR: (64, 256, 1024), CONVOLUTION: (8, 32, 128)}  # features, channels
BATCH = {LINEAR: 256, CONVOLUTION: 32}
SIDE = 16  # height and width of the maps
NORMS = ("none", "batch", "layer")


def run(cell: Row) -> Row:
    """Median times of one layer, its norm and a ReLU, taken in turn; the bytes kept for later."""
    torch.manual_seed(cell["seed"])
    torch.set_num_threads(1)
    kind, size = cell["layer"], SIZES[cell["layer"]][cell["size"]]
    shape = (BATCH[kind], size) + ((SIDE, SIDE) if kind == CONVOLUTION else ())
    x = torch.randn(shape)
    upstream = torch.randn(shape)
    nets = {name: _block(kind, size, name) for name in NORMS}
    found: Row = {"width": size, "array_bytes": upstream.nbytes}
    for name, net in nets.items():
        found[f"{name}_saved_bytes"] = _saved(net, x)
    for direction, measure in (("forward", _forward), ("backward", _backward)):
        sides = {name: measure(net, x, upstream) for name, net in nets.items()}
        if direction == "forward":  # what reading and writing the array once takes
            sides["copy"] = _clock(lambda: upstream.clone())
            evaluated = _block(kind, size, "batch").eval()
            sides["evaluated"] = _forward(evaluated, x, upstream)
        for name, seconds in _medians(sides).items():
            found[f"{name}_{direction}_us"] = 1e6 * seconds
    return found


def _block(kind: str, size: int, norm: str) -> nn.Sequential:
    """Layer, norm, ReLU; a bias only where no norm has one."""
    if kind == LINEAR:
        layer: nn.Module = nn.Linear(size, size, bias=norm == "none")
        norms = {"batch": nn.BatchNorm1d(size), "layer": nn.LayerNorm(size)}
    else:
        layer = nn.Conv2d(size, size, 3, padding=1, bias=norm == "none")
        # one group: all channels and positions of an example, LayerNorm for maps
        norms = {"batch": nn.BatchNorm2d(size), "layer": nn.GroupNorm(1, size)}
    return nn.Sequential(layer, *([norms[norm]] if norm in norms else []), nn.ReLU())


def _clock(work: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        start = time.perf_counter()
        work()
        return time.perf_counter() - start

    return seconds


def _forward(net: nn.Module, x: Tensor, upstream: Tensor) -> Callable[[], float]:
    return _clock(lambda: net(x))


def _backward(net: nn.Module, x: Tensor, upstream: Tensor) -> Callable[[], float]:
    """The backward pass alone, towards the input as well, as inside a network."""

    def seconds() -> float:
        u = x.requires_grad_()
        y = net(u)
        start = time.perf_counter()
        torch.autograd.grad(y, [u, *net.parameters()], upstream)
        return time.perf_counter() - start

    return seconds


def _medians(sides: dict[str, Callable[[], float]]) -> dict[str, float]:
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(REPEATS):
        for name, measure in sides.items():
            seconds[name].append(measure())
    return {name: statistics.median(s[REPEATS // 10 :]) for name, s in seconds.items()}


def _saved(net: nn.Module, x: Tensor) -> int:
    """Bytes that autograd keeps between the passes, each array once; parameters do not count."""
    own = {p.data_ptr() for p in net.parameters()}
    kept: dict[int, int] = {}

    def pack(t: Tensor) -> Tensor:
        if t.data_ptr() not in own:
            kept[t.data_ptr()] = t.untyped_storage().nbytes()
        return t

    with saved_tensors_hooks(pack, lambda t: t):
        y = net(x.clone().requires_grad_())
    del y
    return sum(kept.values())


def summarise(rows: list[Row]) -> dict[str, Any]:
    """By layer and width: times and bytes, as multiples of those of the layer without a norm."""
    return {
        f"{row['layer']} {row['width']}": {
            **{
                f"{norm}_{what}": row[f"{norm}_{what}_us"] / row[f"none_{what}_us"]
                for norm in ("batch", "layer")
                for what in ("forward", "backward")
            },
            "evaluated_forward": row["evaluated_forward_us"] / row["none_forward_us"],
            **{
                f"{norm}_saved": row[f"{norm}_saved_bytes"] / row["none_saved_bytes"]
                for norm in ("batch", "layer")
            },
            # what BN adds, in copies of the array
            "copies_forward": (row["batch_forward_us"] - row["none_forward_us"])
            / row["copy_forward_us"],
            "copies_backward": (row["batch_backward_us"] - row["none_backward_us"])
            / row["copy_forward_us"],
        }
        for row in rows
    }


BN_COST = Experiment(
    name="bn-cost",
    title="What BN costs, forward and backward, against LayerNorm and none",
    claims=("C06",),
    question="How much longer do a layer and its ReLU take with a norm between them, and how much "
    "more do they keep for the backward pass?",
    settings={
        "linear": f"batch {BATCH[LINEAR]}, {SIZES[LINEAR]} features in and out",
        "convolution": f"batch {BATCH[CONVOLUTION]}, {SIZES[CONVOLUTION]} channels in and out, "
        f"3 x 3, maps of {SIDE} x {SIDE}",
        "layer norm of maps": "GroupNorm with one group",
        "threads": 1,
        "repeats": f"{REPEATS}, in turn; medians without the first tenth",
    },
    grid={"layer": (LINEAR, CONVOLUTION), "size": (0, 1, 2), "seed": (0,)},
    run=run,
    summarise=summarise,
    serial=True,
    notes=(
        "Times depend on the machine; each ratio was measured in one run, in turn.",
        "Saved bytes are those of arrays that autograd keeps, each once, without parameters.",
    ),
)
