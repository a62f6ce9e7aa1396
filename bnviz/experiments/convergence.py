"""What do the distributions of a network look like that does not converge? A sweep answers."""

import itertools
from statistics import median

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.experiments.classes import CLASSES, borderline, classify
from bnviz.experiments.experiment import Experiment, Row, rounded
from bnviz.maths import ics, measures
from bnviz.maths.data import digits
from bnviz.maths.nets import MLP, initialise
from bnviz.maths.record import inputs_of
from bnviz.maths.train import DivergenceError, Step, train

__all__ = ["CONVERGENCE", "CONVERGENCE_LONGER", "CONVERGENCE_TANH_RELU", "DESCRIBED"]

RATES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0)
SCALES = (0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
STEPS, BATCH, EVERY, PROBE = 400, 32, 5, 256
LAYERS = (1, 3, 5)  # those of which something is stored
CONSTANT = 0.01  # output of a unit: standard deviation over the probe below this
DESCRIBED = {
    "moved": "distance of a unit's mean from where it started",
    "width": "standard deviation of a unit over the images",
    "saturated": "share of values where the activation is flat",
    "constant": "share of units that give every image the same output, up to 0.01",
    "early": f"drift over {EVERY} steps, in the first quarter of the run",
    "late": f"drift over {EVERY} steps, in the last quarter",
}


class _Observer:
    """Loss and pre-activations on fixed training images, in training mode, while a net learns."""

    def __init__(self, net: MLP):
        self.net, data = net, digits()
        self.x, self.y = data.x_train[:PROBE], data.y_train[:PROBE]
        self.losses: list[float] = []
        self.drifts: list[Tensor] = []  # (len(LAYERS),) each
        self.look()
        self.first = self.now

    def __call__(self, step: Step) -> None:
        if step.number % EVERY == 0:
            before = self.now
            self.look()
            pairs = zip(before, self.now, strict=True)
            self.drifts.append(torch.stack([ics.wasserstein(a, b).mean() for a, b in pairs]))

    @torch.no_grad()
    def look(self) -> None:
        """The running statistics stay as they are: they move in a copy."""
        values = dict(self.net.state_dict())
        with inputs_of(self.net.activations) as seen:
            logits = functional_call(self.net.train(), values, (self.x,))
        self.losses.append(F.cross_entropy(logits, self.y).item())
        self.now = [seen[layer - 1] for layer in LAYERS]  # (PROBE, width) each

    def describe(self) -> dict[str, list[float]]:
        """What the chosen layers look like at the end, by the names of `DESCRIBED`."""
        quarter = max(1, len(self.drifts) // 4)
        v, g, drifts = self.now, self.net.activations[0], torch.stack(self.drifts)
        found = {
            "moved": [_rms(a.mean(0) - b.mean(0)) for a, b in zip(v, self.first, strict=True)],
            "width": [a.std(0, correction=0).mean() for a in v],
            "saturated": [measures.saturated(a.reshape(1, -1), g.index)[0] for a in v],
            "constant": [(g(a).std(0, correction=0) < CONSTANT).float().mean() for a in v],
            "early": list(drifts[:quarter].mean(0)),
            "late": list(drifts[-quarter:].mean(0)),
        }
        return {k: [value.item() for value in values] for k, values in found.items()}


def _rms(v: Tensor) -> Tensor:
    return v.square().mean().sqrt()


def run(cell: Row) -> Row:
    """Train one network; classify its loss curve, describe its layers, evaluate it."""
    data = digits()
    net = MLP(norm=cell["net"] == "bn", activation=cell.get("activation", "sigmoid"))
    net.load_state_dict(initialise(net, cell["seed"], cell["scale"]))
    observer = _Observer(net)
    finite = True
    try:
        train(
            net,
            data,
            steps=cell.get("steps", STEPS),
            batch_size=BATCH,
            lr=cell["lr"],
            seed=cell["seed"],
            on_step=observer,
        )
    except DivergenceError:
        finite = False
    curve = rounded(_ending(observer.losses, finite))
    inside = observer.describe() if finite else dict.fromkeys(DESCRIBED, [float("nan")] * 3)
    described = {
        f"{name}{layer}": round(value, 4) if finite else value
        for name, values in inside.items()
        for layer, value in zip(LAYERS, values, strict=True)
    }
    test = _test_accuracy(net) if finite else None
    return {"class": classify(curve), **curve, "test": test, **rounded(described, 2)}


def _ending(losses: list[float], finite: bool) -> Row:
    """Median of the last quarter and of the one before, and the relative spread of the last."""
    quarter = len(losses) // 4
    if not finite:
        return {"end": None, "before": None, "spread": None}
    last = torch.tensor(losses[-quarter:])
    end, before = last.median().item(), median(losses[-2 * quarter : -quarter])
    low, high = torch.quantile(last, torch.tensor([0.1, 0.9])).tolist()
    return {"end": end, "before": before, "spread": (high - low) / end}


@torch.no_grad()
def _test_accuracy(net: MLP) -> float:
    """In evaluation mode: BN normalises with its running statistics."""
    data = digits()
    return measures.accuracy(net.eval()(data.x_test), data.y_test).item()


def summarise(rows: list[Row]) -> dict:
    """How many runs ended how, how sure that is, and what the layers look like in each class."""
    groups = {}
    for row in rows:
        key = "-".join(str(row[k]) for k in ("activation", "net") if k in row)
        groups.setdefault(key, []).append(row)
    return {
        "runs": len(rows),
        "borderline": sum(borderline(row) for row in rows),
        "counts": {key: _counts(chosen) for key, chosen in groups.items()},
        "cells_that_converge": {key: _cells(chosen) for key, chosen in groups.items()},
        "failed_in_evaluation": {
            key: sum(r["class"] == "converged" and r["test"] < 0.5 for r in chosen)
            for key, chosen in groups.items()
        },
        "outcome": {key: _outcome(chosen) for key, chosen in groups.items()},
        "layers": list(LAYERS),
        "by_class": {
            key: {
                name: _describe([r for r in chosen if r["class"] == name])
                for name in CLASSES
                if any(r["class"] == name for r in chosen)
            }
            for key, chosen in groups.items()
        },
    }


def _counts(rows: list[Row]) -> dict[str, int]:
    return {name: sum(r["class"] == name for r in rows) for name in CLASSES}


def _outcome(rows: list[Row]) -> dict[str, dict]:
    """What learned (converged, slow) and what failed (the rest), and how many of these are blind.

    Blind: at least 90 % of the units of layer 5 give every image the same output. Of these, in how
    many most values are saturated, and in how many the layer lies still late in the run: drift
    below 0.1 over `EVERY` steps, in units of the pre-activation.
    """
    found: dict[str, dict] = {}
    for name, classes in {"learned": CLASSES[:2], "failed": CLASSES[2:]}.items():
        chosen = [r for r in rows if r["class"] in classes]
        blind = [r for r in chosen if (r["constant5"] or 0) >= 0.9]
        found[name] = {
            **_describe(chosen),
            "smallest_lr": min((r["lr"] for r in chosen), default=None),
            "blind": len(blind),
            "blind_saturated": sum(r["saturated5"] > 0.5 for r in blind),
            "blind_still": sum(r["late5"] < 0.1 for r in blind),
        }
    return found


def _cells(rows: list[Row]) -> dict[str, int]:
    """Pairs of learning rate and scale of which every seed converges, and of which any does."""
    cells: dict[tuple, list[bool]] = {}
    for row in rows:
        cells.setdefault((row["lr"], row["scale"]), []).append(row["class"] == "converged")
    return {
        "cells": len(cells),
        "all_seeds": sum(all(found) for found in cells.values()),
        "some_seed": sum(any(found) for found in cells.values()),
    }


def _describe(rows: list[Row]) -> dict:
    """Median over runs, for each stored layer."""
    found: dict = {"runs": len(rows)}
    for name, layer in itertools.product(DESCRIBED, LAYERS):
        values = [r[f"{name}{layer}"] for r in rows if r[f"{name}{layer}"] is not None]
        found.setdefault(name, []).append(rounded(float(median(values)), 2) if values else None)
    return found


_SETTINGS = {
    "data": "digits",
    "network": "5 hidden layers of 64",
    "batch": BATCH,
    "loss": f"on {PROBE} fixed training images in training mode, every {EVERY} steps",
    "classes": "bnviz.experiments.classes",
    "described": DESCRIBED,
    "test": "accuracy in evaluation mode, with running statistics; the class does not use it",
}
_QUESTION = "What do the distributions of a network look like that does not converge?"

CONVERGENCE = Experiment(
    name="convergence",
    title="Which networks converge, and what the others look like inside",
    claims=("C04", "C08"),
    question=_QUESTION,
    settings={**_SETTINGS, "activation": "sigmoid", "steps": STEPS},
    grid={"net": ("plain", "bn"), "lr": RATES, "scale": SCALES, "seed": (0, 1, 2, 3, 4)},
    run=run,
    summarise=summarise,
    notes=("A run that is not finite has null for everything that it did not reach.",),
)

CONVERGENCE_LONGER = Experiment(
    name="convergence-longer",
    title="Are they stuck, or only slow? Four times the steps, without BN",
    claims=("C08",),
    question="How many runs that are stuck after 400 steps are still stuck after 1600?",
    settings={**_SETTINGS, "activation": "sigmoid", "steps": 4 * STEPS},
    grid={"net": ("plain",), "lr": RATES, "scale": SCALES, "seed": (0, 1), "steps": (4 * STEPS,)},
    run=run,
    summarise=summarise,
)

CONVERGENCE_TANH_RELU = Experiment(
    name="convergence-tanh-relu",
    title="Which networks converge, with tanh and ReLU",
    claims=("C04", "C08"),
    question=_QUESTION,
    settings={**_SETTINGS, "steps": STEPS},
    grid={
        "activation": ("tanh", "relu"),
        "net": ("plain", "bn"),
        "lr": RATES,
        "scale": (0.25, 1.0, 4.0),
        "seed": (0, 1, 2),
    },
    run=run,
    summarise=summarise,
)
