"""Which cell of a notebook shows which figures, so that running it again ends the old ones."""

import asyncio

from IPython import get_ipython

from bnviz.jupyter.loop import interrupt_all

__all__ = ["in_kernel", "register"]

_shown: dict[str, tuple[object, list]] = {}  # cell -> (the execution, its figures)


def _kernel():
    return getattr(get_ipython(), "kernel", None)


def in_kernel() -> bool:
    """Whether this code runs in a Jupyter kernel."""
    return _kernel() is not None


def register(figure) -> None:
    """Note a figure that a cell is about to show.

    Figures that an earlier execution of the same cell showed are closed. Where no cell is known,
    an older figure of the same name only stops.
    """
    cell, execution = _here()
    known = cell is not None
    key = cell or figure.explorer.name
    earlier, figures = _shown.get(key, (None, []))
    if not known or earlier != execution:
        for old in figures:
            old.close() if known else old.pause()
        figures = []
    _shown[key] = (execution, [*figures, figure])
    _end_loops_with_an_interrupted_cell()


def _here() -> tuple[str | None, str | None]:
    """The id of the cell that runs, as JupyterLab sends it, and of its execution."""
    kernel = _kernel()
    parent = (kernel.get_parent() if kernel else None) or {}
    return parent.get("metadata", {}).get("cellId"), parent.get("header", {}).get("msg_id")


def _end_loops_with_an_interrupted_cell() -> None:
    shell = get_ipython()
    if shell is not None and _ended not in shell.events.callbacks["post_run_cell"]:
        shell.events.register("post_run_cell", _ended)


def _ended(result) -> None:
    """The interrupt of a cell is meant for the loops as well."""
    if isinstance(result.error_in_exec, (KeyboardInterrupt, asyncio.CancelledError)):
        interrupt_all()
