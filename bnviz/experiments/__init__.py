"""Long sweeps over seeds and settings, and their stored results.

A chapter shows a network or two live. What it claims rests on the sweeps here. Each is described
as data (an `Experiment`), and its result lies beside it in `results/NAME.json`, small enough to
read. `python -m bnviz.experiments NAME` computes it again.

    from bnviz.experiments import load
    load("convergence")["summary"]

Loading a result needs nothing but Python; torch is imported when something is computed.
"""

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from bnviz.experiments import store
from bnviz.experiments.experiment import Experiment

if TYPE_CHECKING:
    from bnviz.experiments.contest import Contest

__all__ = ["AT_SCALE", "get", "load", "names"]

_MODULES = {
    "ioffe-figure-1": "ioffe",
    "ioffe-mnist": "ioffe_mnist",
    "gardens": "gardens",
    "slower": "slower",
    "ics-measures": "shifts",
    "ics-scale": "staleness",
    "convergence": "convergence",
    "convergence-longer": "convergence",
    "convergence-tanh-relu": "convergence",
    "failures-sigmoid": "failures",
    "failures-tanh": "failures",
    "failures-relu": "failures",
    "interventions": "interventions",
    "whitening-cost": "whitening",
    "placement": "placement",
    "placement-cnn": "placement",
    "inference-estimates": "inference",
    "test-order": "order",
    "dropout-shift": "dropout",
    "folding-speed": "folding",
    "bn-cost": "cost",
    "learning-rate": "rates",
    "depth": "depth",
    "weight-norm": "norms",
    "steps-ratio": "headline",
    "steps-tuned": "fewer_steps",
    "rates-scaled": "rates",
    "coupling": "coupling",
    "seven-changes": "changes",
    "landscape-linear": "landscapes",
    "landscape-linear-long": "landscapes",
    "landscape-mlp": "landscapes",
    "landscape-cnn": "landscapes",
    "decay-equilibrium": "decayed",
    "decay-through-rate": "decayed",
    "decay-on-gamma": "decayed",
    "edges": "edges",
    "edges-cnn": "edges",
    "edges-held": "edges",
    "regularise-10": "regularisation",
    "regularise-30": "regularisation",
    "regularise-150": "regularisation",
    "ghosts": "regularisation",
    "plateaus": "plateaus",
    "tuned-sigmoid-1": "tuned",
    "tuned-sigmoid-5": "tuned",
    "tuned-sigmoid-10": "tuned",
    "tuned-tanh-5": "tuned",
    "tuned-relu-5": "tuned",
    "placed-sigmoid": "tuned",
    "placed-tanh": "tuned",
    "placed-relu": "tuned",
    "apart-sigmoid": "apart",
    "apart-relu": "apart",
    "centring": "centring",
    "affine-held-sigmoid": "affine",
    "affine-held-relu": "affine",
    "affine-only": "affine",
    "tuned-batch-2": "tuned",
    "tuned-batch-3": "tuned",
    "tuned-batch-4": "tuned",
    "tuned-batch-8": "tuned",
    "normalised-batch-2": "normalised",
    "normalised-batch-4": "normalised",
    "normalised-batch-32": "normalised",
    "sorted-devices": "company",
    "batch-mates": "company",
    "vgg-tuned": "vgg",
    "vgg-changes": "vgg_changes",
}

# On the papers' own data: these take hours.
AT_SCALE = ("ioffe-mnist", "landscape-linear-long", "vgg-tuned", "vgg-changes")


def names() -> tuple[str, ...]:
    """The names of all experiments, in the order of the book.

    >>> names()[0]
    'ioffe-figure-1'
    """
    return tuple(_MODULES)


@cache
def get(name: str) -> "Experiment | Contest":
    """The experiment of that name. Raises ValueError for a name that is not registered."""
    if name not in _MODULES:
        raise ValueError(f"no experiment is called {name!r}; there are {', '.join(_MODULES)}")
    module = import_module(f"bnviz.experiments.{_MODULES[name]}")
    several = getattr(module, "CONTESTS", ())
    found = (*several, *(e for e in vars(module).values() if isinstance(e, Experiment)))
    return next(e for e in found if e.name == name)


def load(name: str) -> dict[str, Any]:
    """The stored result of an experiment: its settings, its summary, a row for every run.

    Returns:
        A dict: name, title, claims, question, command, date, versions, settings, notes, grid,
        "summary" (what the rows come to) and "rows" (a list of dicts, one for each run).

    Raises:
        FileNotFoundError: when no result of that name is stored.

    >>> load("whitening-cost")["claims"]
    ['C06']
    """
    return store.read(name)
