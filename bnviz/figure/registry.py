"""Which module declares a figure: one of the book's own, or another package's.

A package of somebody else makes its figures known by an entry point, here in its pyproject.toml:

    [project.entry-points."bnviz.figures"]
    my-figure = "mine.figures:MY_FIGURE"

Its name is that of the figure, and the object an `Explorer` or a `Simulation`.
"""

from functools import cache
from importlib.metadata import EntryPoint, entry_points

__all__ = ["GROUP", "homes", "others"]

GROUP = "bnviz.figures"


@cache
def others() -> dict[str, EntryPoint]:
    """Figures that other installed packages declare, by name.

    Raises:
        ValueError: when two packages, or two of their lines, declare a figure of the same name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP):
        if found.setdefault(point.name, point).value != point.value:
            raise ValueError(
                f"two figures are called {point.name!r}: {found[point.name].value} and "
                f"{point.value}; rename one, or uninstall its package"
            )
    return found


def homes(name: str) -> set[str]:
    """The modules in which a figure of that name may be declared, whether they exist or not.

    >>> homes("my-figure")
    {'bnviz.explorers.my_figure'}
    """
    point = others().get(name)
    return {f"bnviz.explorers.{name.replace('-', '_')}"} | ({point.module} if point else set())
