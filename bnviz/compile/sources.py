"""The source text that a module is made of: its own and that of what it imports.

Followed are imports of `bnviz`, of the package that the module belongs to, and of modules that lie
in nobody's site-packages: the helpers that the author of a figure edits. Everything else is another
package, of which the version counts.
"""

import ast
import importlib.util
import sys
from functools import cache
from importlib.machinery import PathFinder
from importlib.metadata import packages_distributions
from pathlib import Path

__all__ = ["closure", "packages"]

_PACKAGE = Path(__file__).parents[1]
_DRAWING = "plotly"
_INSTALLED = {"site-packages", "dist-packages"}  # folders of what is installed for good


def closure(*names: str) -> dict[str, str]:
    """Source text by module name, for the modules named and all they import, see above.

    Imports are followed without running anything. A module of `bnviz` that imports plotly draws and
    does not compute: unless it is one of `names`, it is left out. So is `bnviz` itself, a table of
    contents.

    Raises:
        ValueError: for a module that has no source file, such as a notebook.

    >>> sorted(closure("bnviz.maths.measures", "bnviz.figure.history"))
    ['bnviz.figure.history', 'bnviz.maths._arguments', 'bnviz.maths.measures']
    """
    return {name: text for name, (text, _) in _followed(names).items()}


def packages(*names: str) -> set[str]:
    """The distributions that these modules import in the end, but for what `bnviz` itself imports.

    >>> packages("bnviz.maths.measures")
    set()
    """
    own = {
        name: imports for name, (_, imports) in _followed(names).items() if _top(name) != "bnviz"
    }
    tops = {_top(i) for imports in own.values() for i in imports} - sys.stdlib_module_names
    installed = packages_distributions() if tops else {}
    return {name for top in tops - {"bnviz"} for name in installed.get(top, ())}


def _followed(names: tuple[str, ...]) -> dict[str, tuple[str, list[str]]]:
    """Name of a module -> (its text, the names it imports)."""
    found: dict[str, tuple[str, list[str]]] = {}
    waiting, own = list(names), {_top(name) for name in names}
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        text = _text(name)
        imports = _imports(text, name)
        drawn = any(_top(i) == _DRAWING for i in imports)
        if drawn and name not in names and _top(name) == "bnviz":
            continue
        found[name] = (text, imports)
        waiting += [i for i in imports if i != "bnviz" and _followable(i, own)]
    return found


def _followable(name: str, own: set[str]) -> bool:
    """Whether a name is a module with a text that its author may change at any time."""
    if _top(name) in sys.stdlib_module_names:
        return False
    path = _file(name)
    if path is None or path.suffix != ".py":
        return False
    return _top(name) in own | {"bnviz"} or not _INSTALLED & set(path.parts)


def _top(name: str) -> str:
    return name.partition(".")[0]


@cache  # the figures of a book share most of their sources
def _imports(text: str, importer: str) -> list[str]:
    """Dotted names that a module imports, at any depth.

    `from a import b` gives a.b if that is a module, else a: a package that only holds the module
    asked for, such as the registry of figures, does not count.
    """
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, importer)
            below = (f"{module}.{alias.name}" for alias in node.names)
            names += {name if _file(name) else module for name in below}
    return names


def _absolute(node: ast.ImportFrom, importer: str) -> str:
    """The module that `from ...module import` names, dots and all."""
    if not node.level:
        return node.module or ""
    path = _file(importer)
    inside = path is not None and path.name == "__init__.py"
    parent = importer if inside else importer.rpartition(".")[0]
    return importlib.util.resolve_name("." * node.level + (node.module or ""), parent)


def _file(name: str) -> Path | None:
    """Where a module's source is; None for a name that is no module. Nothing is imported."""
    first, *rest = name.split(".")
    if first == "bnviz":
        base = _PACKAGE.joinpath(*rest)
        candidates = (base.with_suffix(".py"), base / "__init__.py")
        return next((path for path in candidates if path.is_file()), None)
    if name in sys.modules:
        path = getattr(sys.modules[name], "__file__", None)
    else:
        spec = _spec(name)
        path = spec.origin if spec and spec.has_location else None
    return Path(path).resolve() if path else None


def _spec(name: str):
    """How a module that is not loaded would be found."""
    parent = name.rpartition(".")[0]
    if not parent:
        return None if name in sys.stdlib_module_names else importlib.util.find_spec(name)
    above = sys.modules.get(parent) or _spec(parent)
    where = getattr(above, "__path__", None) or getattr(above, "submodule_search_locations", None)
    return PathFinder.find_spec(name, where) if where else None


def _text(name: str) -> str:
    path = _file(name)
    if path is None or path.suffix != ".py":
        raise ValueError(f"{name} has no source file; put its functions into a module")
    return path.read_text(encoding="utf-8")
