"""Work that goes on between the messages of a kernel, and ends when it is told to."""

import asyncio
import signal
import threading
from collections.abc import Callable

__all__ = ["Loop", "has_event_loop", "interrupt_all"]

_running: set["Loop"] = set()


def has_event_loop() -> bool:
    """Whether this code runs inside an asyncio event loop, as code in a kernel does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


class Loop:
    """Calls `tick` again and again in one asyncio task, until there is nothing left to do.

    Between two calls the event loop serves everybody else: in a kernel, the messages of sliders and
    buttons.

    Args:
        tick: returns the seconds until the next call (0: as soon as the others had their turn), or
            None when there is nothing left to do.
        failed: called with the exception that `tick` raised, or with a KeyboardInterrupt after the
            kernel was interrupted. The loop has ended by then.
    """

    def __init__(self, tick: Callable[[], float | None], failed: Callable[[BaseException], None]):
        self._tick, self._failed = tick, failed
        self._task: asyncio.Task | None = None
        self._interrupted = False

    @property
    def running(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        """Begin, unless it runs already. Raises RuntimeError where no event loop runs."""
        if self.running:
            return
        if not has_event_loop():
            raise RuntimeError("no event loop runs here, as it does in a notebook; call step(n)")
        self._interrupted = False
        self._task = asyncio.get_running_loop().create_task(self._run())
        _running.add(self)

    def stop(self) -> None:
        """End; no further call of `tick` begins."""
        task, self._task = self._task, None
        _running.discard(self)
        if task is not None and not (has_event_loop() and task is asyncio.current_task()):
            task.cancel()

    def interrupt(self) -> None:
        """Ask for the end, from a signal handler: the task itself does the rest."""
        self._interrupted = True

    async def _run(self) -> None:
        mine = asyncio.current_task()
        try:
            while self._task is mine:
                if self._interrupted:
                    raise KeyboardInterrupt
                wait = self._tick()
                if wait is None:
                    return
                _listen_for_interrupts()
                await asyncio.sleep(wait)
        except (Exception, KeyboardInterrupt) as error:
            self._ended(mine)
            self._failed(error)
        finally:
            self._ended(mine)

    def _ended(self, task: asyncio.Task) -> None:
        if self._task is task:
            self._task = None
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
