"""Faults of the batches: too small, not alike, tiny variances, several inputs for one layer."""

import math
from collections.abc import Callable, Iterator, Sized
from typing import Any

import torch
from torch import Tensor

from bnviz.clinic.answers import answers
from bnviz.clinic.finding import Finding
from bnviz.clinic.measured import Measured, Run

__all__ = ["BATCH_CHECKS"]

NOISY = 0.35  # sigma: scatter of the mean of a batch, as with eight independent values


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
    _, words = answers(m)
    yield Finding(
        "one layer for several distributions", "serious" if apart[worst] > 3 else "look",
        tuple(apart),
        f"{worst!r} is called several times in a pass, and the means of its calls lie "
        f"{apart[worst]:.2g} standard deviations apart."
        + (f" With statistics measured anew, {words}." if words else ""),
        "In training each call is normalised by itself; the running values average them all, and "
        "fit none of them in evaluation.",
        "# a BN layer of its own for each call; the layer in front may stay shared",
        "inference.html#why-is-my-eval-loss-terrible", apart[worst],
    )  # fmt: skip


BATCH_CHECKS: tuple[Callable[[Measured], Iterator[Finding]], ...] = (
    small_batches, order, epsilon, several_inputs,
)  # fmt: skip
