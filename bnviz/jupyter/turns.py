"""One thing at a time, although a kernel hears its reader in more than one thread."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

__all__ = ["in_turn"]

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
