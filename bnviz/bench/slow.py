"""A slow reader: a network of a weak telephone, and a quarter of the processor."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
from playwright.sync_api import Page

__all__ = ["quartered", "slow_network", "slow_page"]

_LATENCY, _RATE = 150, 1.6e6 / 8  # milliseconds, bytes per second
_FACTOR = 4  # by which the processor is slower
_SLICE = 0.005  # seconds that a process runs at a time


def slow_network(page: Page) -> None:
    """1.6 Mbit/s and 150 ms until an answer begins, also for the page's worker."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    network = {"offline": False, "latency": _LATENCY}
    rates = {"downloadThroughput": _RATE, "uploadThroughput": _RATE}
    session.send("Network.emulateNetworkConditions", network | rates)


@contextmanager
def slow_page(page: Page) -> Iterator[None]:
    """The page's own thread four times slower, as the browser's tools do it; not its worker."""
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": _FACTOR})
    try:
        yield
    finally:
        session.send("Emulation.setCPUThrottlingRate", {"rate": 1})


@contextmanager
def quartered() -> Iterator[None]:
    """All pages of this process's browsers, and their workers, run a quarter of the time.

    The browser's tools refuse to slow a worker, so the processes are stopped and go on by turns.
    """
    pages = [
        process
        for process in psutil.Process().children(recursive=True)
        if "--type=renderer" in process.cmdline()
    ]
    done = threading.Event()

    def halt() -> None:
        while not done.wait(_SLICE):
            for process in pages:
                process.suspend()
            done.wait(_SLICE * (_FACTOR - 1))
            for process in pages:
                process.resume()

    thread = threading.Thread(target=halt)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
