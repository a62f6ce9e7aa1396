"""Faults of units: dead, saturated, or switched off by gamma."""

from collections.abc import Callable, Iterator
from math import erf, sqrt

import torch

from bnviz.clinic.finding import Finding
from bnviz.clinic.measured import Measured, dead
from bnviz.watching.flat import Interval

__all__ = ["UNITS"]

DEAD, SATURATED, OFF = 0.25, 0.6, 0.2  # shares
_TRAINED = 100  # updates; before them, a gamma of 0 is how residual blocks begin


def dead_units(m: Measured) -> Iterator[Finding]:
    """Units that are flat for every example."""
    shares = {name: dead(m, name) for name in m.activations}
    shares = {name: s for name, s in shares.items() if s > DEAD}
    if not shares:
        return
    worst = max(shares, key=lambda name: shares[name])
    yield Finding(
        "dead units", "serious" if shares[worst] > 0.5 else "look", tuple(shares),
        f"{shares[worst]:.0%} of the units of {worst!r} are flat for every example of "
        f"{len(m.batches)} batches.",
        "No gradient passes a unit where its activation is flat, so what stands before it does not "
        "learn from these examples, and it says the same of all of them.",
        "# BN in front of the activation, a smaller rate, or weights drawn anew (He's)\n"
        "torch.nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')",
        "whitening-and-drift.html", shares[worst],
    )  # fmt: skip


def saturated(m: Measured) -> Iterator[Finding]:
    """Activations that are flat for large inputs only, and most of whose inputs are large."""
    shares = {}
    for name, (_, intervals) in m.activations.items():
        if _usually(intervals) < 0.4 and m.evaluation.flat.get(name):
            share = sum(m.evaluation.flat[name]) / len(m.evaluation.flat[name])
            if share > SATURATED:
                shares[name] = share
    if not shares:
        return
    worst = max(shares, key=lambda name: shares[name])
    yield Finding(
        "saturated activations", "serious" if shares[worst] > 0.9 else "look", tuple(shares),
        f"{shares[worst]:.0%} of what {worst!r} receives lies where its slope is below a tenth of "
        "the largest.",
        "Gradients shrink by that factor in each such layer, and the layers below learn slowly or "
        "not at all.",
        "# BN in front of the activation, or smaller weights and inputs",
        "shift.html", shares[worst],
    )  # fmt: skip


def _usually(intervals: tuple[Interval, ...]) -> float:
    """The share of standard normal values that lie in the intervals: 0.5 for ReLU, and meant so."""
    return sum((erf(b / sqrt(2)) - erf(a / sqrt(2))) / 2 for a, b in intervals) if intervals else 1


def switched_off(m: Measured) -> Iterator[Finding]:
    """Features that gamma multiplies by 0, in a layer that has trained."""
    shares = {}
    for name, layer in m.layers.items():
        gamma = getattr(layer.module, "weight", None)
        if isinstance(gamma, torch.Tensor) and (layer.updates or 0) >= _TRAINED:
            size = gamma.detach().abs()
            off = (size < 1e-3 * max(float(size.max()), 1e-3)).float().mean().item()
            if off > OFF:
                shares[name] = off
    if not shares:
        return
    worst = max(shares, key=lambda name: shares[name])
    yield Finding(
        "gamma at 0", "serious" if shares[worst] == 1 else "look", tuple(shares),
        f"{shares[worst]:.0%} of the gammas of {worst!r} are below a thousandth of the largest, "
        f"after {m.layers[worst].updates} updates.",
        "Such a feature is a constant, beta, and sends no gradient to the weights in front.",
        "torch.nn.init.ones_(layer.weight)  # and no weight decay on gamma; or prune the features",
        "steps.html#what-and-give-back", shares[worst],
    )  # fmt: skip


UNITS: tuple[Callable[[Measured], Iterator[Finding]], ...] = (dead_units, saturated, switched_off)
