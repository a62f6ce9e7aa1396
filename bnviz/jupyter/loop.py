"""Work that goes on between the messages of a kernel, and ends when it is told to."""

import asyncio
import signal
import threading
from collections.abc import Callable
from concurrent.futures import Future

from bnviz.jupyter.turns import in_turn

__all__ = ["Loop", "interrupt_all"]

_running: set["Loop"] = set()


def _event_loop() -> asyncio.AbstractEventLoop | None:
    """The event loop that this code runs in, as code in a kernel does."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Loop:
    """Calls `tick` again and again in one asyncio task, until there is nothing left to do.

    Between two calls the event loop serves everybody else: in a kernel, cells and messages. It is
    the event loop in which this object was made, also when another thread says `start`: that of a
    notebook's tab ends with the tab.

    Args:
        tick: returns the seconds until the next call (0: as soon as the others had their turn), or
            None when there is nothing left to do.
        failed: called with the exception that `tick` raised, or with a KeyboardInterrupt after the
            kernel was interrupted. The loop has ended by then.
    """

    def __init__(self, tick: Callable[[], float | None], failed: Callable[[BaseException], None]):
        self._tick, self._failed = tick, failed
        self._home = _event_loop()
        self._run: object | None = None  # stands for the present run; None when there is none
        self._task: Future | None = None
        self._interrupted = False

    @property
    def running(self) -> bool:
        return self._run is not None

    @property
    def possible(self) -> bool:
        """Whether there is an event loop to run in."""
        return self._event_loop is not None

    @property
    def _event_loop(self) -> asyncio.AbstractEventLoop | None:
        home = self._home
        return _event_loop() if home is None or home.is_closed() else home

    @in_turn
    def start(self) -> None:
        """Begin, unless it runs already. Raises RuntimeError where no event loop runs."""
        if self.running:
            return
        home = self._event_loop
        if home is None:
            raise RuntimeError("no event loop runs here, as it does in a notebook; call step(n)")
        self._interrupted = False
        self._run = object()
        self._task = asyncio.run_coroutine_threadsafe(self._ticks(self._run), home)
        _running.add(self)

    @in_turn
    def stop(self) -> None:
        """End; no further call of `tick` begins."""
        self._ended(self._run)
        if self._task is not None:
            self._task.cancel()

    def interrupt(self) -> None:
        """Ask for the end, from a signal handler: the task itself does the rest."""
        self._interrupted = True

    async def _ticks(self, run: object) -> None:
        try:
            while (wait := self._next(run)) is not None:
                _listen_for_interrupts()
                await asyncio.sleep(wait)
        except (Exception, KeyboardInterrupt) as error:
            self._ended(run)
            self._failed(error)
        finally:
            self._ended(run)

    @in_turn
    def _next(self, run: object) -> float | None:
        """One call of `tick`, and the end in the same turn: a `start` comes before or after."""
        if self._run is not run:
            return None
        if self._interrupted:
            raise KeyboardInterrupt
        wait = self._tick()
        if wait is None:
            self._ended(run)
        return wait

    @in_turn
    def _ended(self, run: object) -> None:
        if self._run is run:
            self._run = None
            _running.discard(self)


def interrupt_all(*_) -> None:
    """End every loop that runs. Also a signal handler."""
    for loop in list(_running):
        loop.interrupt()


def _listen_for_interrupts() -> None:
    """Hear an interrupt that arrives between two cells, where a kernel would ignore it.

    With no loop running the handler does nothing, as if the signal were still ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, interrupt_all)
