"""Faults of the running values: not finite, stale, of the last batch, frozen, unlike in copies."""

import math
from collections.abc import Callable, Iterator

import torch

from bnviz.clinic.answers import answers
from bnviz.clinic.finding import Finding
from bnviz.clinic.measured import Layer, Measured

__all__ = ["RUNNING_CHECKS"]

_EVAL = "inference.html#why-is-my-eval-loss-terrible"
_ESTIMATES = "inference.html#three-estimates"
_REMEASURE = """\
from bnviz.maths.reestimate import reestimate
reestimate(model, loader)  # measures the statistics anew; weights stay as they are"""

FLIPS = 0.02  # of the answers, from where on statistics are called wrong
DRIFT = 0.2  # sigma: of a running mean off the one that the data have
LOUD = 0.5  # momentum from which the running values are those of the last batches
JUMPS = 0.05  # sigma: of a running value from step to step


def not_finite(m: Measured) -> Iterator[Finding]:
    """Running values that are NaN, infinite, or negative where they are variances."""
    bad = {
        name: "NaN or infinite"
        for name, layer in m.layers.items()
        if layer.mean is not None and layer.var is not None
        and not (layer.mean.isfinite().all() and layer.var.isfinite().all())
    }  # fmt: skip
    if bad:
        yield Finding(
            "running values that are not finite", "serious", tuple(bad),
            f"{len(bad)} of {len(m.layers)} BN layers hold NaN or infinity in running_mean or "
            "running_var.",
            "One batch with a value that was not finite is enough: an average never forgets it. "
            "Training does not notice, evaluation returns NaN.",
            _REMEASURE, _EVAL, 2.0,
        )  # fmt: skip
    negative = {
        name: float(layer.var.min())
        for name, layer in m.layers.items()
        if layer.var is not None and (layer.var < 0).any()
    }
    if negative:
        yield Finding(
            "negative running variance", "serious", tuple(negative),
            f"The smallest is {min(negative.values()):.3g}.",
            "No average of variances is negative: the value was loaded or set, or is the logarithm "
            "of a variance. Below -eps the root is NaN in evaluation.",
            _REMEASURE, _EVAL, 2.0,
        )  # fmt: skip


def _tracked(m: Measured) -> dict[str, Layer]:
    return {
        name: layer
        for name, layer in m.layers.items()
        if layer.mean is not None and layer.var is not None
        and layer.mean.isfinite().all() and layer.var.isfinite().all() and (layer.var >= 0).all()
        and name in m.batchwise.calls
    }  # fmt: skip


def _gaps(m: Measured) -> dict[str, tuple[float, float]]:
    """Of each layer: running mean off the data's in sigma (rms), and log of the variance ratio.

    Each less what the scatter from batch to batch explains.
    """
    found = {}
    for name, layer in _tracked(m).items():
        mean, var = m.batchwise.pooled(name)
        sigma = (var + layer.eps).sqrt()
        assert layer.mean is not None
        assert layer.var is not None
        away = ((layer.mean - mean) / sigma).square().mean().sqrt().item()
        ratio = ((layer.var + layer.eps) / (var + layer.eps)).log().square().mean().sqrt().item()
        calls = len(m.batchwise.calls[name])
        momentum = layer.momentum if layer.momentum is not None else 0.0
        noise = m.batchwise.scatter(name) * math.sqrt(1 / calls + momentum / (2 - momentum))
        found[name] = (max(0.0, away - 2 * noise), max(0.0, ratio - 4 * noise))
    return found


def stale(m: Measured) -> Iterator[Finding]:
    """Running values that are not those of the data: never updated, not arrived, of other data."""
    gaps = _gaps(m)
    far = {name: g for name, g in gaps.items() if g[0] > DRIFT or g[1] > 2 * DRIFT}
    if not far:
        return
    changed, words = answers(m)
    if words and changed < FLIPS:
        return
    order = sorted(far, key=lambda name: -max(far[name]))
    worst = order[0]
    away, ratio = far[worst]
    evidence = (
        f"On {len(m.batches)} batches, the running mean of {worst!r} is {away:.2g} standard "
        f"deviations from that of the data, its variance off by a factor of {math.exp(ratio):.2g}; "
        f"{len(far)} of {len(gaps)} layers are off."
    )
    if words:
        evidence += f" With statistics measured anew, {words}."
    untouched = [n for n in order if _never_updated(m.layers[n])]
    kind, meaning, link = (
        "running values differ from the data's",
        "Evaluation normalises with statistics that these data do not have: they come from other "
        "data, or from weights of long ago.",
        _EVAL,
    )
    if len(untouched) > len(far) / 2:
        kind, meaning, link = (
            "running values were never updated",
            "They still are 0 and 1. The layers never ran in training mode, or were restored "
            "without their buffers.",
            _EVAL,
        )
    elif arriving := [n for n in order if _left(m.layers[n]) > 0.05]:
        layer = m.layers[arriving[0]]
        kind, meaning, link = (
            "too few steps for this momentum",
            f"After {layer.updates} updates with momentum {layer.momentum:g}, "
            f"{_left(layer):.0%} of the start value is still in the average, "
            f"(1 - momentum)^{layer.updates}. A larger momentum arrives sooner; momentum=None "
            "averages all batches.",
            _ESTIMATES,
        )
    level = "serious" if changed >= 5 * FLIPS or max(far[worst]) > 1 else "look"
    yield Finding(
        kind, level, tuple(order), evidence, meaning, _REMEASURE, link, max(changed, away / 10)
    )


def _never_updated(layer: Layer) -> bool:
    return (
        layer.mean is not None
        and layer.var is not None
        and bool((layer.mean == 0).all() and (layer.var == 1).all())
    )


def _left(layer: Layer) -> float:
    """What is left of the start value after the updates that were counted."""
    if not layer.updates or layer.momentum is None:
        return 0.0
    return (1 - layer.momentum) ** layer.updates


def momentum(m: Measured) -> Iterator[Finding]:
    """A momentum so large that the running values are those of the last batch or two."""
    loud = {
        name: layer for name, layer in _tracked(m).items()
        if layer.momentum is not None and layer.momentum >= LOUD and layer.trains
    }  # fmt: skip
    jumps = {
        name: [_share(layer.momentum) * of(name)
               for of in (m.batchwise.scatter, m.batchwise.width_scatter)]
        for name, layer in loud.items() if layer.momentum is not None
    }  # fmt: skip
    jumps = {name: v for name, v in jumps.items() if max(v) > JUMPS}
    if not jumps:
        return
    worst = max(jumps, key=lambda name: max(jumps[name]))
    value = m.layers[worst].momentum
    assert value is not None
    mean, width = jumps[worst]
    quiet = _share(0.1) / _share(value)
    yield Finding(
        "momentum in the other convention", "look", tuple(jumps),
        f"With momentum {value:g}, what evaluation normalises with in {worst!r} jumps from step to "
        f"step: the mean by {mean:.2g} standard deviations, the standard deviation by {width:.0%}. "
        f"With 0.1 it would be {quiet:.2g} times as much.",
        "In PyTorch momentum is the weight of the NEW batch. Keras and TensorFlow mean that of the "
        "old value: their 0.99 is 0.01 here.",
        f"layer.momentum = {max(0.001, round(1 - value, 4)):g}", "steps.html#momentum-twice",
        max(jumps[worst]),
    )  # fmt: skip


def _share(momentum: float) -> float:
    """Of the scatter of a batch's statistic, what is left in their exponential average."""
    return math.sqrt(momentum / (2 - momentum))


def frozen(m: Measured) -> Iterator[Finding]:
    """Layers that are half asleep, and what will wake them."""
    wakes = [name for name, layer in m.layers.items() if layer.wakes]
    asleep = [n for n, layer in m.layers.items() if m.training_mode and not layer.trains]
    if wakes:
        yield Finding(
            "frozen layers that train() wakes", "look", tuple(wakes),
            f"{len(asleep)} BN layers are in evaluation mode while the model trains; "
            f"model.train() puts {len(wakes)} of them back into training mode.",
            "The usual loop calls model.train() at each epoch. From then on these layers normalise "
            "with the batch again, and their running values move.",
            "def train(self, mode=True):  # in the model's class\n"
            "    super().train(mode)\n"
            "    for layer in self.frozen:\n"
            "        layer.eval()\n"
            "    return self",
            _EVAL, len(wakes) / max(len(m.layers), 1),
        )  # fmt: skip
    moving = {
        name: m.moved[name]
        for name, layer in m.layers.items()
        if layer.trains and m.moved.get(name, 0) > 0.02
        and _fixed(layer)
    }  # fmt: skip
    if moving:
        worst = max(moving, key=lambda name: moving[name])
        yield Finding(
            "half-frozen layers", "look", tuple(moving),
            f"gamma and beta of {len(moving)} layers do not require a gradient, but their running "
            f"values move: the mean of {worst!r} by {moving[worst]:.2g} standard deviations in "
            f"{len(m.batches)} batches.",
            "requires_grad=False and torch.no_grad() stop gamma and beta. Running values are no "
            "parameters; only evaluation mode stops them.",
            "layer.eval()  # and again after each model.train()", _EVAL, moving[worst],
        )  # fmt: skip


def _fixed(layer: Layer) -> bool:
    own = list(layer.module.parameters(recurse=False))
    return bool(own) and not any(p.requires_grad for p in own)


def copies(m: Measured) -> Iterator[Finding]:
    """Running values that differ between the processes of a distributed training."""
    group = torch.distributed
    if not (group.is_available() and group.is_initialized() and group.get_world_size() > 1):
        return
    apart = {}
    for name, layer in m.layers.items():
        if layer.mean is None or layer.var is None:
            continue
        mine = torch.stack([layer.mean, layer.var])
        everyone = [torch.empty_like(mine) for _ in range(group.get_world_size())]
        group.all_gather(everyone, mine)
        means = torch.stack([v[0] for v in everyone])
        sigma = (torch.stack([v[1] for v in everyone]).mean(0) + layer.eps).clamp_min(0).sqrt()
        gap = ((means.amax(0) - means.amin(0)) / sigma).square().mean().sqrt().item()
        if gap > 0.05:
            apart[name] = gap
    if not apart:
        return
    worst = max(apart, key=lambda name: apart[name])
    yield Finding(
        "statistics that differ between copies", "serious" if apart[worst] > 1 else "look",
        tuple(apart),
        f"Between {group.get_world_size()} processes the running means of {worst!r} differ by "
        f"{apart[worst]:.2g} standard deviations.",
        "Each process normalises with its own part of the batch and keeps its own running values; "
        "which of them is saved decides the evaluation.",
        "model = torch.nn.SyncBatchNorm.convert_sync_batchnorm(model)", _EVAL, apart[worst],
    )  # fmt: skip


RUNNING_CHECKS: tuple[Callable[[Measured], Iterator[Finding]], ...] = (
    not_finite, stale, momentum, frozen, copies,
)  # fmt: skip
