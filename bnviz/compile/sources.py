"""The source text that a module is made of: its own and that of what it imports from `bnviz`."""

import ast
import sys
from pathlib import Path

__all__ = ["closure"]

_PACKAGE = Path(__file__).parents[1]
_DRAWING = "plotly"


def closure(*names: str) -> dict[str, str]:
    """Source text by module name, for the modules named and all they import from `bnviz`.

    Imports are followed without running anything. A module that imports plotly draws and does not
    compute: unless it is one of `names`, it is left out. So is `bnviz` itself, a table of contents.

    Raises:
        ValueError: for a module that has no source file, such as a notebook.

    >>> sorted(closure("bnviz.maths.measures", "bnviz.figure.history"))
    ['bnviz.figure.history', 'bnviz.maths._arguments', 'bnviz.maths.measures']
    """
    found: dict[str, str] = {}
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        text = _text(name)
        imports = _imports(text)
        if name not in names and any(i.split(".")[0] == _DRAWING for i in imports):
            continue
        found[name] = text
        waiting += [i for i in imports if i.startswith("bnviz.") and _file(i)]
    return found


def _imports(text: str) -> list[str]:
    """Dotted names that a module imports, at any depth.

    `from a import b` gives a.b if that is a module of `bnviz`, else a: a package that only holds
    the module asked for, such as the registry of figures, does not count.
    """
    names = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            below = (f"{node.module}.{alias.name}" for alias in node.names)
            names += {name if _file(name) else node.module for name in below}
    return names


def _file(name: str) -> Path | None:
    """Where a module's source is; None for a name that is no module."""
    first, *rest = name.split(".")
    if first != "bnviz":
        path = getattr(sys.modules.get(name), "__file__", None)
        return Path(path) if path else None
    base = _PACKAGE.joinpath(*rest)
    candidates = (base.with_suffix(".py"), base / "__init__.py")
    return next((path for path in candidates if path.is_file()), None)


def _text(name: str) -> str:
    path = _file(name)
    if path is None or path.suffix != ".py":
        raise ValueError(f"{name} has no source file; put its functions into a module")
    return path.read_text(encoding="utf-8")
