"""Faults of the statistics: running values, momentum, frozen layers, batches, eps, copies."""

import math
from collections.abc import Callable, Iterator, Sized
from typing import Any

import torch
from torch import Tensor

from bnviz.clinic.finding import Finding
from bnviz.clinic.measured import Layer, Measured, Run
from bnviz.clinic.patient import logits_of

__all__ = ["STATISTICS"]

_EVAL = "inference.html#why-is-my-eval-loss-terrible"
_ESTIMATES = "inference.html#three-estimates"
_REMEASURE = """\
from bnviz.maths.reestimate import reestimate
reestimate(model, loader)  # measures the statistics anew; weights stay as they are"""

FLIPS = 0.02  # of the answers, from where on statistics are called wrong
DRIFT = 0.2  # sigma: of a running mean off the one that the data have
NOISY = 0.35  # sigma: scatter of the mean of a batch, as with eight independent values
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


def _answers(m: Measured) -> tuple[float, str]:
    """How much the outputs change when the statistics are measured anew, and that in words."""
    if m.renewed is None or not m.renewed.outputs or not m.evaluation.outputs:
        return 0.0, ""
    before, after = (torch.cat([y.flatten(1) if y.ndim > 1 else y[:, None] for y in run.outputs])
                     for run in (m.evaluation, m.renewed))  # fmt: skip
    if logits_of(m.evaluation.outputs[0]) is not None:
        changed = (before.argmax(1) != after.argmax(1)).float().mean().item()
        words = f"{changed:.0%} of the model's answers change"
        moved = (before.softmax(1) - after.softmax(1)).abs().sum(1).mean().item() / 2
        words += f", and {moved:.0%} of their probability moves to other classes"
        changed = max(changed, moved / 2)
        right = [_accuracy(m, run) for run in (m.evaluation, m.renewed)]
        if None not in right:
            words += f" (accuracy {right[0]:.1%} before, {right[1]:.1%} after)"
        return changed, words
    spread = after.std().item() or 1.0
    changed = (before - after).square().mean().sqrt().item() / spread
    return changed / 5, f"the outputs move by {changed:.2g} of their standard deviation"


def _accuracy(m: Measured, run: Run) -> float | None:
    if any(b.labels is None for b in m.batches) or len(run.outputs) < len(m.batches):
        return None
    right = n = 0
    for b, y in zip(m.batches, run.outputs, strict=True):
        labels = b.labels
        if labels is None or len(labels) != len(y):
            return None
        right += int((y.argmax(1) == labels.cpu()).sum())
        n += len(labels)
    return right / n


def stale(m: Measured) -> Iterator[Finding]:
    """Running values that are not those of the data: never updated, not arrived, of other data."""
    gaps = _gaps(m)
    far = {name: g for name, g in gaps.items() if g[0] > DRIFT or g[1] > 2 * DRIFT}
    if not far:
        return
    changed, words = _answers(m)
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


def small_batches(m: Measured) -> Iterator[Finding]:
    """Too few values for a mean: small batches, maps of one pixel, a short last batch."""
    if m.failed:
        yield Finding(
            "the model cannot run in training mode", "serious", (),
            f"A training pass raises: {m.failed}",
            "A layer that gets one value per feature has no variance: a batch of one in front of a "
            "fully connected layer, or a map of 1 x 1 pixels.",
            "DataLoader(..., batch_size=8, drop_last=True)", "steps.html#a-batch-of-two", 2.0,
        )  # fmt: skip
        return
    run = m.training
    small = {
        name: run.scatter(name)
        for name, layer in m.layers.items()
        if layer.trains and name in run.calls and _values(run, name) < 32
    }
    noisy = {name: s for name, s in small.items() if s > NOISY}
    if noisy:
        worst = max(noisy, key=lambda name: noisy[name])
        n = _values(run, worst)
        yield Finding(
            "batches too small for their layers", "serious" if n <= 4 else "look", tuple(noisy),
            f"{worst!r} averages {n} values per feature; the mean of a batch scatters by "
            f"{noisy[worst]:.2g} standard deviations.",
            "What the layer makes of an example depends on its batch-mates, and the running values "
            "average statistics that are far from each other.",
            "# a larger batch; or torch.nn.GroupNorm, which needs no batch\n"
            "layer = torch.nn.GroupNorm(groups, channels)",
            "landscape.html#noise-from-batch-mates", noisy[worst],
        )  # fmt: skip
    rest, size = _last_batch(m.loader)
    if rest and rest < size:
        least = min((_values(run, n) / _rows(m) for n in run.calls), default=1.0)
        values = max(1, round(rest * least))
        if values < 8 and not noisy:
            yield Finding(
                "a short last batch", "serious" if values < 2 else "look", (),
                f"The last batch has {rest} of {size} examples; the smallest layer then averages "
                f"{values} value{'s' if values > 1 else ''} per feature.",
                "With one value training raises an error, with a few the step is made on noise, "
                "and it counts in the running values like any other.",
                "DataLoader(..., drop_last=True)", "steps.html#how-noisy-is-a-batch", 1 / values,
            )  # fmt: skip


def _values(run: Run, name: str) -> int:
    return min(n for n, _, _ in run.calls[name])


def _rows(m: Measured) -> int:
    inputs = m.batches[0].inputs
    return len(inputs) if inputs is not None else max(1, len(m.training.outputs[0]))


def _last_batch(loader: Any) -> tuple[int, int]:
    """Examples in the last batch of a DataLoader that is shorter than the others, and in those."""
    if isinstance(loader, (list, tuple)) and len(loader) > 1:
        sizes = [len(b[0] if isinstance(b, (list, tuple)) else b) for b in loader
                 if isinstance(b, (list, tuple, Tensor))]  # fmt: skip
        return (sizes[-1], sizes[0]) if sizes else (0, 0)
    size, rows = getattr(loader, "batch_size", None), getattr(loader, "dataset", None)
    if not size or getattr(loader, "drop_last", True) or not isinstance(rows, Sized):
        return 0, 0
    return len(rows) % size, size


def order(m: Measured) -> Iterator[Finding]:
    """Statistics that depend on which examples stand together."""
    if m.shuffled is None or m.failed:
        return
    ratios = {}
    for name, layer in m.layers.items():
        if not layer.trains or name not in m.shuffled.calls or len(m.batchwise.calls[name]) < 3:
            continue
        dealt, found = m.shuffled.scatter(name), m.batchwise.scatter(name)
        if dealt > 0 and found > 0.1:
            ratios[name] = found / dealt
    ratios = {name: r for name, r in ratios.items() if r > 2}
    if not ratios:
        return
    worst = max(ratios, key=lambda name: ratios[name])
    labels = [b.labels for b in m.batches if b.labels is not None]
    classes = ""
    if labels:
        inside = sum(len(set(y.tolist())) for y in labels) / len(labels)
        whole = len(set(torch.cat(labels).tolist()))
        classes = f" A batch holds {inside:.1f} of {whole} classes on average."
    yield Finding(
        "batches that are not alike", "serious" if ratios[worst] > 3 else "look", tuple(ratios),
        f"The batch mean of {worst!r} scatters {ratios[worst]:.1f} times as much from batch to "
        f"batch as when the same examples are dealt at random.{classes}",
        "The batches are sorted or grouped. Each is normalised by the statistics of its own group, "
        "which removes what tells the groups apart; evaluation uses other statistics.",
        "DataLoader(..., shuffle=True)",
        "inference.html#one-image-through-three-kinds-of-statistics", ratios[worst],
    )  # fmt: skip


def epsilon(m: Measured) -> Iterator[Finding]:
    """Features whose variance is not above eps."""
    shares, run = {}, m.evaluation
    for name, layer in m.layers.items():
        if name not in run.calls:
            continue
        _, var = run.pooled(name)
        alive = var > 0
        if alive.any():
            small = (var[alive] < layer.eps).double().mean().item()
            if small > 0.1:
                shares[name] = small
    if not shares:
        return
    worst = max(shares, key=lambda name: shares[name])
    _, var = run.pooled(worst)
    eps = m.layers[worst].eps
    middle = var[var > 0].median().item()
    left = math.sqrt(middle / (middle + eps))
    yield Finding(
        "eps above the variances", "serious" if left < 0.3 else "look", tuple(shares),
        f"{shares[worst]:.0%} of the features of {worst!r} have a variance below eps = {eps:g}; "
        f"the median is {middle:.2g}, so normalised they have a standard deviation of {left:.2g}.",
        "eps is meant to be far below the variance. Here it decides the scale: the layer does not "
        "normalise what is so small.",
        "# scale the inputs or the weights in front up, or\n"
        f"layer.eps = {max(middle * 1e-3, 1e-12):.0e}",
        "steps.html#why", 1 - left,
    )  # fmt: skip


def several_inputs(m: Measured) -> Iterator[Finding]:
    """One layer that is called several times a pass, for inputs of different distributions."""
    apart = {}
    for name in m.layers:
        calls = m.batchwise.calls.get(name, [])
        k = len(calls) // len(m.batches) if m.batches else 0
        if k < 2 or len(calls) != k * len(m.batches):
            continue
        means = [torch.stack([calls[i][1].double() for i in range(j, len(calls), k)]).mean(0)
                 for j in range(k)]  # fmt: skip
        variances = [torch.stack([calls[i][2].double() for i in range(j, len(calls), k)]).mean(0)
                     for j in range(k)]  # fmt: skip
        sigma = torch.stack(variances).mean(0).sqrt().clamp_min(1e-12)
        gap = ((torch.stack(means).amax(0) - torch.stack(means).amin(0)) / sigma).median().item()
        if gap > 1:
            apart[name] = gap
    if not apart:
        return
    worst = max(apart, key=lambda name: apart[name])
    _, words = _answers(m)
    yield Finding(
        "one layer for several distributions", "serious" if apart[worst] > 3 else "look",
        tuple(apart),
        f"{worst!r} is called several times in a pass, and the means of its calls lie "
        f"{apart[worst]:.2g} standard deviations apart."
        + (f" With statistics measured anew, {words}." if words else ""),
        "In training each call is normalised by itself; the running values average them all, and "
        "fit none of them in evaluation.",
        "# a BN layer of its own for each call; the layer in front may stay shared",
        _EVAL, apart[worst],
    )  # fmt: skip


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


STATISTICS: tuple[Callable[[Measured], Iterator[Finding]], ...] = (
    not_finite, stale, momentum, frozen, small_batches, order, epsilon, several_inputs, copies,
)  # fmt: skip
