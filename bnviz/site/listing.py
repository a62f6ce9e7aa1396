"""The Python that a figure runs, as highlighted HTML: readers open it from the figure."""

import functools
import inspect
import sys
from pathlib import Path

from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import PythonLexer

from bnviz.figure.explorer import Explorer, Simulation

__all__ = ["listing"]


def listing(explorer: Explorer) -> tuple[str, str]:
    """Path of the module that holds a figure's functions, from its package on; its text as HTML."""
    function = explorer.step if isinstance(explorer, Simulation) else explorer.compute
    while isinstance(function, functools.partial):
        function = function.func
    module = sys.modules[function.__module__]
    file = inspect.getsourcefile(module)
    if file is None:
        raise ValueError(f"{explorer.name}: the functions of {module.__name__} stand in no file")
    above = Path(file).parents[module.__name__.count(".") + (Path(file).name == "__init__.py")]
    path = Path(file).relative_to(above).as_posix()
    html = highlight(inspect.getsource(module), PythonLexer(), HtmlFormatter(cssclass="highlight"))
    return path, html
