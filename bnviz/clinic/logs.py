"""Faults that show in a log of a training."""

import math
from collections.abc import Iterator
from statistics import median

from bnviz.clinic.finding import Finding
from bnviz.watching.log import LayerLog, Log

__all__ = ["found"]

_LATE = 0.2  # of the records, at the end, are looked at
DEAD, SATURATED, LAG, TINY, HUGE = 0.25, 0.6, 0.5, 1e-6, 0.1


def found(log: Log) -> Iterator[Finding]:
    """Findings of the newest fifth of the records.

    Raises ValueError when nothing was recorded.
    """
    if not len(log):
        raise ValueError("nothing was recorded in this log: train inside the `with` block")
    lost = {n: max(_late(layer, "not_finite"), default=0.0) for n, layer in log.layers.items()}
    yield from _named(
        lost, 0.0, "values that are not finite", "serious",
        lambda n, v: f"{v:.0%} of what {n!r} sees is NaN or infinite.",
        "One such value makes the running values of every BN layer behind it NaN for good.",
        "torch.autograd.set_detect_anomaly(True)  # or a smaller learning rate",
        "inference.html#why-is-my-eval-loss-terrible",
    )  # fmt: skip
    dead = {n: _middle(layer, "dead") for n, layer in log.layers.items()}
    yield from _named(
        dead, DEAD, "dead units", "look",
        lambda n, v: f"{v:.0%} of the units of {n!r} are flat for every example of a step.",
        "They pass no gradient: what stands before them does not learn.",
        "# BN in front, a smaller rate, or weights drawn anew", "whitening-and-drift.html",
    )  # fmt: skip
    bounded = ("Sigmoid", "Tanh", "Hardtanh", "Hardsigmoid", "Softsign")
    flat = {n: _middle(layer, "flat") for n, layer in log.layers.items() if layer.kind in bounded}
    yield from _named(
        flat, SATURATED, "saturated activations", "look",
        lambda n, v: f"{v:.0%} of what {n!r} receives lies where it is flat.",
        "Gradients shrink in each such layer.", "# BN in front, or smaller weights", "shift.html",
    )  # fmt: skip
    lag = {n: _middle(layer, "mean_gap") for n, layer in log.layers.items() if layer.bn}
    yield from _named(
        lag, LAG, "running values lag behind the batches", "look",
        lambda n, v: f"The batch mean of {n!r} is {v:.2g} standard deviations off the running one.",
        "Evaluation uses the running values. With so small a batch, or with weights that move so "
        "fast, they are not those of the batches.",
        "# before evaluation: bnviz.maths.reestimate.reestimate(model, loader)",
        "inference.html#lag-noise-and-a-wrong-start",
    )  # fmt: skip
    few = {n: min(_late(layer, "batch"), default=math.inf) for n, layer in log.layers.items()}
    small = {n: 1 / v for n, v in few.items() if v <= 8}
    yield from _named(
        small, 0.0, "batches too small for their layers", "look",
        lambda n, v: f"{n!r} averages {1 / v:.0f} values per feature.",
        "The statistics of so few values are mostly noise.", "# a larger batch, or GroupNorm",
        "landscape.html#noise-from-batch-mates",
    )  # fmt: skip
    ratios = {
        n: median(r) for n, w in log.weights.items() if w.matrix
        if (r := [v for k in range(_first(log), len(log)) if not math.isnan(v := w.ratio(k))])
    }  # fmt: skip
    yield from _named(
        {n: v for n, v in ratios.items() if v > HUGE}, 0.0, "steps too large for the weights",
        "look",
        lambda n, v: f"A step changes {n!r} by {v:.0%} of its size.",
        "Weights that change so much in one step do not converge. In front of BN this is the angle "
        "by which they turn.", "# a smaller learning rate",
        "benefits.html#the-scale-of-weights-during-training",
    )  # fmt: skip
    yield from _named(
        {n: -math.log10(max(v, 1e-30)) for n, v in ratios.items() if v < TINY}, 0.0,
        "weights that do not move", "look",
        lambda n, v: f"A step changes {n!r} by 10^{-v:.0f} of its size.",
        "The gradient does not arrive there, or the rate is far too small.",
        "# look for dead or saturated layers behind it", "shift.html",
    )  # fmt: skip


def _first(log: Log) -> int:
    return len(log) - max(1, round(_LATE * len(log)))


def _late(layer: LayerLog, column: str) -> list[float]:
    values = layer.columns[column]
    return [v for v in values[-max(1, round(_LATE * len(values))) :] if not math.isnan(v)]


def _middle(layer: LayerLog, column: str) -> float:
    values = _late(layer, column)
    return median(values) if values else 0.0


def _named(values, above, kind, level, evidence, meaning, remedy, link) -> Iterator[Finding]:
    """One finding for all layers above a limit, the worst one as evidence."""
    far = {n: v for n, v in values.items() if v > above and not math.isinf(v)}
    if far:
        order = sorted(far, key=lambda n: -far[n])
        yield Finding(
            kind, level, tuple(order), evidence(order[0], far[order[0]]), meaning, remedy, link,
            far[order[0]],
        )  # fmt: skip
