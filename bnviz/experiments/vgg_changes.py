"""The seven changes that BN allows, by Ioffe and Szegedy (2015), on a VGG and CIFAR-10.

Each is made alone, to a network with BN and, as the control, to one without, at the rate that
`vgg-tuned` chose for each of the two. Compared is the test accuracy at the end.
"""

import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bnviz.experiments.experiment import Experiment, Row, between, rounded
from bnviz.experiments.statistics import effect
from bnviz.experiments.vgg import BATCH, SETTINGS, accuracy, network, photos, tuned_rate
from bnviz.maths.data import Split
from bnviz.maths.prng import Shuffler
from bnviz.maths.vgg import VGG

__all__ = ["VGG_CHANGES", "flipped_and_cropped"]

STEPS, TIMES = 800, 5  # the budget for which the rates were tuned; of the larger rate
SLOW = 1.5  # the rate ends at exp(-1.5) of what it was
EFFECTS = {  # what is changed: before, after
    "rate times 5": ("none", "rate"),
    "Dropout 50 % in the head": ("none", "dropout"),
    "L2 of 1e-4": ("none", "l2-1"),
    "L2 of 5e-4": ("none", "l2-5"),
    "slow decay": ("none", "decay-slow"),
    "decay five times as fast": ("decay-slow", "decay-fast"),
    "response normalisation": ("none", "lrn"),
    "fresh batches": ("fixed-batches", "none"),
    "photometric distortions": ("none", "photometric"),
    "flips and crops": ("none", "geometric"),
}
VARIANTS = tuple(dict.fromkeys(name for pair in EFFECTS.values() for name in pair))
_STREAM = 1000  # generators of masks and distortions: seed + this


def flipped_and_cropped(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each photo mirrored or not, and moved by up to 4 pixels each way, (m, c, h, w).

    What comes in at the edge is 0, the mean of the photos.
    """
    m, _, h, w = x.shape
    mirrored = torch.rand(m, generator=generator) < 0.5
    x = torch.where(mirrored[:, None, None, None].to(x.device), x.flip(3), x)
    wide = F.pad(x, (4, 4, 4, 4))
    down, right = torch.randint(0, 9, (2, m), generator=generator).tolist()
    return torch.stack(
        [v[:, i : i + h, j : j + w] for v, i, j in zip(wide, down, right, strict=True)]
    )


def photometric(x: Tensor, generator: torch.Generator) -> Tensor:
    """Each photo its own contrast and brightness: x (1 + z_1 / 2) + z_2 / 2, normal numbers."""
    z = 0.5 * torch.randn(2, len(x), 1, 1, 1, generator=generator).to(x.device)
    return x * (1 + z[0]) + z[1]


def run(cell: Row, data: tuple[Split, Split] | None = None) -> Row:
    """Train one network with one change."""
    variant, steps = cell["variant"], cell.get("steps", STEPS)
    fit, judge = data or photos(cell["device"])
    net = network({**cell, "norm": cell["net"] == "bn"})
    if variant == "dropout":
        net.head.insert(2, nn.Dropout(0.5))
        net.head.insert(5, nn.Dropout(0.5))
        torch.manual_seed(_STREAM + cell["seed"])  # nn.Dropout draws from the global generator
    if variant == "lrn":
        _respond(net)
    base = cell.get("lr") or tuned_rate(cell["net"])
    generator = torch.Generator().manual_seed(_STREAM + cell["seed"])
    distort = {
        "photometric": lambda x: photometric(x, generator),
        "geometric": lambda x: flipped_and_cropped(x, generator),
    }.get(variant, lambda x: x)
    decay = {"l2-1": 1e-4, "l2-5": 5e-4}.get(variant, 0.0)
    weights = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim == 1]
    groups = [{"params": weights, "weight_decay": decay}, {"params": others}]
    optimizer = torch.optim.SGD(groups, lr=base)
    batches = _batches(len(fit.x_train), cell["seed"], fixed=variant == "fixed-batches")
    for number in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = base * _factor(variant, number / steps)
        rows = batches()
        loss = F.cross_entropy(net.train()(distort(fit.x_train[rows])), fit.y_train[rows])
        if not torch.isfinite(loss):
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    held = Split(fit.x_train, fit.y_train, fit.x_train[:2000], fit.y_train[:2000])
    return {"test": accuracy(net, judge), "train": accuracy(net, held)}


def _factor(variant: str, done: float) -> float:
    """On the learning rate, when a share of the steps is done."""
    if variant == "rate":
        return TIMES
    k = {"decay-slow": SLOW, "decay-fast": TIMES * SLOW}.get(variant, 0.0)
    return math.exp(-k * done)


def _respond(net: VGG) -> None:
    """Local response normalisation behind the first two ReLUs, with alpha 1 (Krizhevsky: 1e-4).

    At alpha 1e-4 and activations of size one its factor is a constant.
    """
    layers, seen = list(net.features), 0
    for k, layer in enumerate(layers):
        if isinstance(layer, nn.ReLU) and seen < 2:
            layers[k] = nn.Sequential(layer, nn.LocalResponseNorm(5, alpha=1.0, beta=0.75, k=2.0))
            seen += 1
    net.features = nn.Sequential(*layers)


def _batches(n: int, seed: int, *, fixed: bool) -> Callable[[], Tensor]:
    """Rows of the next minibatch; `fixed`: the same photos always meet."""
    size = min(BATCH, n)
    shuffler = Shuffler(n, seed)
    if not fixed:
        return lambda: shuffler.take(size)
    groups = torch.stack(shuffler.take(n // size * size).split(size))
    order = Shuffler(len(groups), seed + 1)
    return lambda: groups[order.take(1)[0]]


def summarise(rows: list[Row]) -> dict[str, Any]:
    """Accuracies of each variant, and what each change does, with BN and without."""
    test = {
        (variant, net): [r["test"] for r in rows if (r["variant"], r["net"]) == (variant, net)]
        for variant in VARIANTS
        for net in ("plain", "bn")
    }
    return {
        "accuracy": {v: {net: between(test[v, net]) for net in ("plain", "bn")} for v in VARIANTS},
        "effects": {
            name: {
                net: rounded(asdict(effect(test[after, net], test[before, net])))
                for net in ("plain", "bn")
            }
            for name, (before, after) in EFFECTS.items()
        },
    }


VGG_CHANGES = Experiment(
    name="vgg-changes",
    title="The changes that BN allows, one at a time, for VGG on CIFAR-10",
    claims=("C33",),
    question="Does a VGG with BN need less Dropout, L2, ... than one without?",
    settings=SETTINGS
    | {
        "steps": STEPS,
        "optimiser": "plain SGD at the rate that vgg-tuned chose, of 800 steps",
        "effects": {name: list(pair) for name, pair in EFFECTS.items()},
        "decay": f"rate times exp(-k * share of the steps made): slow {SLOW}, fast {TIMES * SLOW}",
        "L2": "on weights alone, not on biases, gamma and beta",
        "no": "a change is BN's doing only if its effect with BN lies above that without",
    },
    grid={"variant": VARIANTS, "net": ("plain", "bn"), "seed": tuple(range(5))},
    run=run,
    summarise=summarise,
    options={"device": "cpu", "width": 0.125},
)
