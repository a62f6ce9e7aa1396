"""The figures of the book by name, one module per chapter. A module is imported when it is used."""

from functools import cache
from importlib import import_module

from bnviz.explorer import Explorer

__all__ = ["get", "names"]

_CHAPTERS = {
    "drift": "shift",
    "scale-shift": "steps",
}


def names() -> tuple[str, ...]:
    """The names of all figures, in the order of the book."""
    return tuple(_CHAPTERS)


@cache
def get(name: str) -> Explorer:
    """The figure of that name. Raises ValueError for a name that is not registered."""
    if name not in _CHAPTERS:
        raise ValueError(f"no figure is called {name!r}; the book has {names()}")
    module = import_module(f"bnviz.explorers.{_CHAPTERS[name]}")
    return next(e for e in vars(module).values() if isinstance(e, Explorer) and e.name == name)
