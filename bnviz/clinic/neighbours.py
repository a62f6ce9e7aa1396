"""Faults of what stands around a BN layer: bias, Dropout, padding, weight decay."""

import math
from collections.abc import Callable, Iterator

import torch
from torch import nn

from bnviz.clinic.finding import Finding
from bnviz.clinic.measured import Measured

__all__ = ["NEIGHBOURS"]

SHIFTED = 0.05  # of a variance, between training and evaluation
REPEATED = 0.1  # of the positions
HALF_LIFE = 10_000  # steps
_DROPS = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


def bias(m: Measured) -> Iterator[Finding]:
    """A bias that the BN behind it takes away again."""
    run, found = m.batchwise, {}
    for name, layer in m.layers.items():
        front = run.fronts.get(name)
        own = getattr(front, "bias", None)
        if isinstance(front, nn.modules.batchnorm._NormBase) or not isinstance(own, nn.Parameter):  # pyright: ignore[reportPrivateUsage]
            continue
        if layer.trains:
            found[name] = own.numel()
    if found:
        yield Finding(
            "a bias in front of BN", "note", tuple(found),
            f"{sum(found.values())} parameters in {len(found)} layers in front of BN are biases.",
            "BN subtracts the batch mean, and the bias with it: it has no effect on the output, "
            "its gradient is 0 up to rounding, and beta does its work.",
            "torch.nn.Linear(..., bias=False)  # likewise Conv1d, 2d, 3d",
            "placement.html#the-bias-in-front", float(sum(found.values())),
        )  # fmt: skip


def dropout(m: Measured) -> Iterator[Finding]:
    """Dropout changes the variance that BN measures in training, and is gone in evaluation."""
    drops = [name for name, d in m.model.named_modules() if isinstance(d, _DROPS) and d.p > 0]
    if not drops or m.failed:
        return
    shifted = {}
    for name, layer in m.layers.items():
        if not layer.trains or name not in m.training.calls or name not in m.batchwise.calls:
            continue
        (_, with_drops), (_, without) = m.training.pooled(name), m.batchwise.pooled(name)
        alive = (without > layer.eps) & (with_drops > layer.eps)
        if alive.any():
            ratio = (with_drops[alive] / without[alive]).log().mean().exp().item()
            if abs(math.log(ratio)) > SHIFTED:
                shifted[name] = ratio
    if not shifted:
        return
    worst = max(shifted, key=lambda name: abs(math.log(shifted[name])))
    yield Finding(
        "Dropout in front of BN", "serious" if abs(math.log(shifted[worst])) > 0.5 else "look",
        tuple(shifted),
        f"With Dropout ({', '.join(map(repr, drops[:3]))}) the variance at {worst!r} is "
        f"{shifted[worst]:.2f} times that without it.",
        "BN's running variance is that of training, with Dropout. Evaluation has no Dropout, hence "
        "another variance: everything behind is scaled wrongly.",
        "# put Dropout behind the last BN, or measure the statistics anew without it:\n"
        "from bnviz.maths.reestimate import reestimate\nreestimate(model, loader)",
        "inference.html#why-is-my-eval-loss-terrible", abs(math.log(shifted[worst])),
    )  # fmt: skip


def padding(m: Measured) -> Iterator[Finding]:
    """Positions behind the end of a sequence that count like data."""
    repeated = {
        name: sum(shares) / len(shares)
        for name, shares in m.batchwise.tails.items()
        if name in m.layers and m.layers[name].trains
    }
    repeated = {name: share for name, share in repeated.items() if share > REPEATED}
    if not repeated:
        return
    worst = max(repeated, key=lambda name: repeated[name])
    yield Finding(
        "padding in the statistics", "look", tuple(repeated),
        f"{repeated[worst]:.0%} of the positions that {worst!r} averages over repeat the last one "
        "of their sequence exactly, as padding does.",
        "Padding counts like data: mean and variance, and with them every output, depend on how "
        "long the longest sequence of the batch is.",
        "# batch sequences of like length, or normalise valid positions only\n"
        "y[mask] = bn(x.transpose(1, 2)[mask])",
        "placement.html#one-channel-one-mean", repeated[worst],
    )  # fmt: skip


def decay(m: Measured) -> Iterator[Finding]:
    """Weight decay that pulls gamma towards 0."""
    if m.optimizer is None:
        return
    names = {id(p): n for n, layer in m.layers.items()
             for p in layer.module.parameters(recurse=False)}  # fmt: skip
    pulled: dict[str, float] = {}
    pulls = "pulls gamma and beta towards 0"
    for group in m.optimizer.param_groups:
        rate = float(group.get("weight_decay", 0) or 0) * float(group.get("lr", 0))
        for p in group["params"]:
            if rate > 0 and id(p) in names:
                pulled[names[id(p)]] = math.log(2) / rate
    if not pulled:
        return
    worst = min(pulled, key=lambda name: pulled[name])
    weights = (getattr(layer.module, "weight", None) for layer in m.layers.values())
    gammas = [float(w.detach().abs().mean()) for w in weights if isinstance(w, torch.Tensor)]
    mean = f", mean |gamma| is {sum(gammas) / len(gammas):.2g}" if gammas else ""
    yield Finding(
        "weight decay on gamma and beta", "look" if pulled[worst] < HALF_LIFE else "note",
        tuple(pulled),
        f"It {pulls}: alone it would halve them in {pulled[worst]:,.0f} steps{mean}.",
        "On the weights in front of BN, decay changes no output, but the step size. On gamma and "
        "beta it does: it shrinks the layer's output.",
        "norms = [p for p in model.parameters() if p.ndim == 1]\n"
        "rest = [p for p in model.parameters() if p.ndim > 1]\n"
        "optimizer = torch.optim.SGD([{'params': rest, 'weight_decay': 1e-4},\n"
        "                             {'params': norms, 'weight_decay': 0}], lr=0.1)",
        "benefits.html#the-scale-of-weights-during-training", 1 / pulled[worst],
    )  # fmt: skip


NEIGHBOURS: tuple[Callable[[Measured], Iterator[Finding]], ...] = (bias, dropout, padding, decay)
