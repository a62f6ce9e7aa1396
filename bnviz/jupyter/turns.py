"""One thing at a time, although a kernel hears its reader in more than one thread."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import ipywidgets as widgets

__all__ = ["in_turn", "while_a_cell_runs"]

P = ParamSpec("P")
T = TypeVar("T")
_turn = threading.RLock()


def in_turn(work: Callable[P, T]) -> Callable[P, T]:
    """`work`, which waits until other such work has ended; it may call such work itself.

    JupyterLab sends the messages of widgets to a thread of their own (a "subshell" of ipykernel),
    while cells and trainings run in the main one. What they change together is changed in turn:
    without it a step could end between a picture and the number of the step written above it.
    """

    @wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with _turn:
            return work(*args, **kwargs)

    return call


def while_a_cell_runs(*heard: widgets.Widget) -> None:
    """Let these widgets hear their reader while a cell keeps the main thread busy.

    JupyterLab sends what they say to a thread of its own, but from version 7.4 on ipykernel hands
    an answer to the thread that spoke last, and that was the cell. Without its note of it, messages
    go where JupyterLab sent them. To be called after each message to a widget; elsewhere it does
    nothing, and the widgets are heard when the cell has ended.
    """
    for widget in heard:
        if widget.comm is not None:
            vars(widget.comm).pop("_reply_subshell_id", None)
