"""The figures of the book by name, one module each. A module is imported when it is used.

Figures that other packages declare (`bnviz.figure.registry` says how) are found by name as well.
"""

from functools import cache
from importlib import import_module

from bnviz.figure import registry
from bnviz.figure.explorer import Explorer

__all__ = ["get", "names"]

# chapter -> its figures, in the order of the book; `scale-shift` lives in scale_shift.py
_CHAPTERS = {
    "shift": ("covariate-shift", "drift"),
    "whitening-and-drift": ("whitening", "ics", "failures"),
    "steps": ("normalize", "scale-shift", "epsilon", "batch-statistics", "axes"),
    "backprop": ("backward-steps", "batch-coupling", "gradient-projection"),
    "placement": ("placement", "bias", "channels"),
    "inference": ("moving-average", "train-eval", "folding", "broken-batchnorm"),
    "benefits": ("learning-rate", "init-scale", "weight-scale"),
    "landscape": ("landscape", "landscape-linear", "loss-surface", "regularisation"),
    "batches": ("shared-cells", "batch-noise", "normalisers"),
    "step-size": ("equilibrium", "effective-rate", "decay-as-rate"),
    "taken-apart": ("taken-apart", "growing-gradients", "curvature"),
}


def names() -> tuple[str, ...]:
    """The names of all figures, in the order of the book."""
    return tuple(name for chapter in _CHAPTERS.values() for name in chapter)


@cache
def get(name: str) -> Explorer:
    """The figure of that name, of the book or of another package.

    Raises:
        ValueError: for a name that nobody declares, or that two packages declare.
        TypeError: when what a package declares is no figure of that name.
    """
    if name in names():
        module = import_module(f"bnviz.explorers.{name.replace('-', '_')}")
        return next(e for e in vars(module).values() if isinstance(e, Explorer) and e.name == name)
    point = registry.others().get(name)
    if point is None:
        more = f", other packages {tuple(registry.others())}" if registry.others() else ""
        raise ValueError(f"no figure is called {name!r}; the book has {names()}{more}")
    figure = point.load()
    if not isinstance(figure, Explorer) or figure.name != name:
        called = f"one called {figure.name!r}" if isinstance(figure, Explorer) else repr(figure)
        raise TypeError(
            f"the entry point {name!r} in {registry.GROUP} must lead to a figure of that name; "
            f"{point.value} is {called}"
        )
    return figure
