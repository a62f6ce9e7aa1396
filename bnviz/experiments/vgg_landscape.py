"""Santurkar et al. (2018) on CIFAR-10: is the loss smoother with BN, and do its inputs move less?

At points of one training of a VGG, on the minibatch of the step that comes next:

    the loss along the gradient   its range, how far the gradient changes, effective beta-smoothness
    stale gradients               of some layers, before and after the layers below took the step
    drift                         of what some activations receive, over that step

Noisy BN takes part: its distributions jump at every step, and it trains.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between
from bnviz.experiments.vgg import BATCH, SETTINGS, accuracy, network, photos, tuned_rate
from bnviz.maths import ics
from bnviz.maths.data import Split
from bnviz.maths.noisy import N_MU, N_SIGMA, R
from bnviz.maths.prng import Shuffler
from bnviz.maths.record import inputs_of
from bnviz.maths.vgg import VGG

__all__ = ["VGG_LANDSCAPE", "along_gradient", "stale", "statistics_kept"]

NETS = {"plain": {"norm": False}, "bn": {"norm": True}, "noisy": {"norm": True, "noisy": True}}
STEPS, EVERY, PROBE = 5000, 100, 64
RATIOS = (0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of a step
PAPER = 0.1
RATES = ("paper", "tuned")  # tuned: what `vgg-tuned` chose for each side; noisy takes BN's
LAYERS = (1, 3, 5, 7)  # of the eight convolutions, from 0
MEASURES = ("range", "change", "relative_change", "beta", "stale", "cosine", "drift", "raw_drift")
PHASES = {"early": range(0, 1000), "late": range(4000, 5000)}


@dataclass(frozen=True)
class Point:
    """Where a training stands: its network, and the batch of the step that comes next."""

    net: VGG
    x: Tensor
    y: Tensor
    lr: float

    def gradient(self, wanted: Sequence[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The loss on the batch, in training mode, and its gradients; nothing moves."""
        with statistics_kept(self.net):
            loss = F.cross_entropy(self.net.train()(self.x), self.y)
            return loss.detach(), torch.autograd.grad(loss, wanted)


@contextmanager
def statistics_kept(net: nn.Module) -> Iterator[None]:
    """Running statistics and the steps of noise are afterwards what they were before."""
    held = {k: v.clone() for k, v in net.named_buffers()}
    try:
        yield
    finally:
        with torch.no_grad():
            for name, value in net.named_buffers():
                value.copy_(held[name])


def along_gradient(point: Point) -> Row:
    """Range of the loss, change of the gradient and beta over the ratios of one step.

    relative_change is the largest ||g(w - r lr g) - g(w)|| over ||g(w)||.
    """
    learned = list(point.net.parameters())
    here, gradient = point.gradient(learned)
    norm = _norm(gradient)
    start = [p.detach().clone() for p in learned]
    losses, changes, betas = [], [], []
    for ratio in RATIOS:
        _move(learned, start, gradient, -ratio * point.lr)
        loss, ahead = point.gradient(learned)
        change = _norm([a - g for a, g in zip(ahead, gradient, strict=True)])
        losses.append(loss.item())
        changes.append(change)
        betas.append(change / (ratio * point.lr * norm))
    _move(learned, start, gradient, 0.0)
    return {
        "loss": here.item(),
        "low": min(losses),
        "high": max(losses),
        "range": max(losses) - min(losses),
        "change": max(changes),
        "relative_change": max(changes) / norm,
        "beta": max(betas),
    }


@torch.no_grad()
def _move(learned: list, start: list[Tensor], gradient: tuple[Tensor, ...], by: float) -> None:
    for p, w, g in zip(learned, start, gradient, strict=True):
        p.copy_(w + by * g if by else w)


def _norm(tensors) -> float:
    return torch.stack([t.square().sum() for t in tensors]).sum().sqrt().item()


def stale(point: Point) -> Row:
    """For some layers: ||G - G'|| over ||G||, and the cosine; `maths/ics.py` defines them."""
    learned = list(point.net.parameters())
    _, gradient = point.gradient(learned)
    start = [p.detach().clone() for p in learned]
    found: dict[str, list[float]] = {"stale": [], "cosine": []}
    for layer in _convolutions(point.net, LAYERS):
        at = next(k for k, p in enumerate(learned) if p is layer.weight)
        _move(learned[:at], start[:at], gradient[:at], -point.lr)  # all that lies below it
        _, (after,) = point.gradient([layer.weight])
        _move(learned, start, gradient, 0.0)
        shift, norm, cosine = ics.compare(gradient[at], after)
        found["stale"].append((shift / norm).item())
        found["cosine"].append(cosine.item())
    return found


def _convolutions(net: VGG, numbers: tuple[int, ...]) -> list[nn.Conv2d]:
    found = [module for module in net.features if isinstance(module, nn.Conv2d)]
    return [found[k] for k in numbers]


@torch.no_grad()
def _inside(net: VGG, x: Tensor) -> list[Tensor]:
    """Of some convolutions the output, and what the ReLU behind receives, (values, c) each.

    The first is what BN receives; without BN the two are the same. In training mode.
    """
    layers = list(net.features)
    relus = [k for k, module in enumerate(layers) if isinstance(module, nn.ReLU)]
    convolutions = [k for k, module in enumerate(layers) if isinstance(module, nn.Conv2d)]
    watched = [layers[k] for n in LAYERS for k in (convolutions[n] + 1, relus[n])]
    with statistics_kept(net), inputs_of(watched) as seen:
        net.train()(x)
    return [v.transpose(0, 1).flatten(1).T for v in seen]


def _drift(before: list[Tensor], after: list[Tensor]) -> Row:
    """Mean over units of the Wasserstein-1 distance, in standard deviations of the unit before."""
    moved = [
        (ics.wasserstein(a, b) / a.std(0, correction=0).clamp_min(1e-12)).mean().item()
        for a, b in zip(before, after, strict=True)
    ]
    return {"raw_drift": moved[0::2], "drift": moved[1::2]}


def run(cell: Row, data: tuple[Split, Split] | None = None) -> Row:
    """Train one network and measure it at points of its way."""
    steps, every = cell.get("steps", STEPS), cell.get("every", EVERY)
    fit, judge = data or photos(cell["device"])
    net = network({**cell, **NETS[cell["net"]]})
    lr = _rate(cell["rate"], cell["net"])
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    shuffler = Shuffler(len(fit.x_train), cell["seed"])
    probe, points = fit.x_test[:PROBE], list[Row]()
    for number in range(steps):
        rows = shuffler.take(min(BATCH, len(fit.x_train)))
        point = Point(net, fit.x_train[rows], fit.y_train[rows], lr)
        found, before = None, []
        if number % every == 0:
            found = {"step": number, **along_gradient(point), **stale(point)}
            before = _inside(net, probe)
        loss = F.cross_entropy(net.train()(point.x), point.y)
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if found is not None:
            points.append(found | _drift(before, _inside(net, probe)))
    return _row(points, accuracy(net, judge), steps // every)


def _rate(name: str | float, net: str) -> float:
    if isinstance(name, float):
        return name
    return PAPER if name == "paper" else tuned_rate("plain" if net == "plain" else "bn")


def _row(points: list[Row], reached: float, wanted: int) -> Row:
    """Curves over the run; those of layers as their mean. None where the run was over."""
    row: Row = {"accuracy": reached, "survived": len(points) == wanted}
    for key in ("loss", "low", "high", *MEASURES[1:]):
        values = [
            p[key] if isinstance(p[key], float) else sum(p[key]) / len(p[key]) for p in points
        ]
        row[key] = values + [None] * (wanted - len(points))
    return row


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Medians of each measure, early and late, and in how many seeds one net has the smaller."""
    found: dict[str, Any] = {}
    for name in RATES:
        own = {net: [r for r in rows if (r["net"], r["rate"]) == (net, name)] for net in NETS}
        found[name] = {net: _described(runs) for net, runs in own.items()}
        found[name]["smaller_with_bn"] = {
            other: {
                f"{key} {phase}": _smaller(own["bn"], own[other], key, phase)
                for key in MEASURES
                for phase in PHASES
            }
            for other in ("plain", "noisy")
        }
    return found


def _described(runs: list[Row]) -> Row:
    return {
        "accuracy": between(r["accuracy"] for r in runs),
        "survived": sum(r["survived"] for r in runs),
        **{
            phase: {key: between(_median(r, key, phase) for r in runs) for key in MEASURES}
            for phase in PHASES
        },
    }


def _median(row: Row, key: str, phase: str) -> float | None:
    """Over the points of a phase; None for a run that did not last."""
    if key == "range":
        pairs = zip(row["high"], row["low"], strict=True)
        curve = [None if high is None or low is None else high - low for high, low in pairs]
    else:
        curve = row[key]
    inside = [v for k, v in enumerate(curve) if k * STEPS // len(curve) in PHASES[phase]]
    values = [v for v in inside if v is not None]
    return median(values) if values and len(values) == len(inside) else None


def _smaller(ours: list[Row], theirs: list[Row], key: str, phase: str) -> list[int]:
    """[seeds in which ours is smaller, seeds in which both have a number]."""
    pairs = [
        (_median(a, key, phase), _median(b, key, phase)) for a, b in zip(ours, theirs, strict=True)
    ]
    both = [(a, b) for a, b in pairs if a is not None and b is not None]
    return [sum(a < b for a, b in both), len(both)]


VGG_LANDSCAPE = Experiment(
    name="vgg-landscape",
    title="Santurkar et al. on CIFAR-10: smoothness and both shifts of a VGG",
    claims=("C07", "C29"),
    question="Is the loss of a VGG smoother with BN, and do its inputs and gradients shift less?",
    settings=SETTINGS
    | {
        "steps": STEPS,
        "rates": f"paper: {PAPER}; tuned: what vgg-tuned chose for each side, of 800 steps",
        "noise": {"n_mu": N_MU, "n_sigma": N_SIGMA, "r": R},
        "measured": f"every {EVERY} steps on the batch of the step that comes next, in float32",
        "ratios": RATIOS,
        "stale": f"||G - G'|| / ||G|| and the cosine for convolutions {[k + 1 for k in LAYERS]}, "
        "the layers below taking their step; mean over these layers",
        "drift": f"Wasserstein-1 distance over that step, in standard deviations, of what the ReLU "
        f"of these layers receives for {PROBE} fixed photos in training mode; raw: of what BN "
        "receives; mean over units and layers",
        "no": "smoother, only if in all seeds and at both rates range, relative change and beta "
        "are smaller with BN in the first fifth and in the last",
    },
    grid={"net": tuple(NETS), "rate": RATES, "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
    options={"device": "cpu", "width": 0.125},
)
