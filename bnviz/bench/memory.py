"""Memory: the browser's tab with a live figure, against the kernel that would serve it."""

import subprocess
import sys
from collections.abc import Iterator

import psutil
from playwright.sync_api import Browser, Page, sync_playwright

from bnviz.bench.page import figure_pages, opened
from bnviz.bench.rows import Row
from bnviz.tools.browser import launch
from bnviz.tools.serve import BOOK, serving

__all__ = ["memory_rows"]

_FIGURE = "drift"  # the training on the book's first page
_TURNS, _STEPS, _LONG = 5, 5000, 120_000  # the last in milliseconds
# What a kernel does to show the figure; it prints the bytes that it holds then.
_KERNEL = f"""
import psutil
from bnviz.jupyter.show import show
handle = show({_FIGURE!r})
print(psutil.Process().memory_full_info().uss)
"""
_GROUP = "Memory"


def memory_rows() -> Iterator[Row]:
    """Megabytes that no other process shares, a fresh browser and a fresh kernel each turn."""
    url_of = figure_pages()[_FIGURE]
    empty, live, busy, trained, kernel = [], [], [], [], []
    with sync_playwright() as playwright, serving(BOOK) as url:
        for _ in range(_TURNS):
            with launch(playwright) as browser:
                empty.append(_empty(browser))
                with opened(browser, url + url_of, _FIGURE) as (page, _):
                    live.append(_rested(page))
                    _train(page)
                    busy.append(_largest_tab())
                    trained.append(_rested(page))
            kernel.append(_kernel())
    against = "a kernel with the same figure"
    yield Row(_GROUP, "an empty tab", against, "MB", tuple(empty), tuple(kernel))
    yield Row(_GROUP, f"{_FIGURE}, live", against, "MB", tuple(live), tuple(kernel))
    training = f"{_FIGURE}, in the midst of training"
    yield Row(_GROUP, training, against, "MB", tuple(busy), tuple(kernel))
    yield Row(_GROUP, training, "", "MB", tuple(busy), (), target=200)
    after = f"{_FIGURE}, after {_STEPS:,} steps"
    yield Row(_GROUP, after, against, "MB", tuple(trained), tuple(kernel))


def _empty(browser: Browser) -> float:
    page = browser.new_page()
    page.goto("about:blank")
    found = _rested(page)
    page.context.close()
    return found


def _train(page: Page) -> None:
    find = f"""document.querySelector('figure.bnviz[data-explorer="{_FIGURE}"]')"""
    page.select_option(f'[data-explorer="{_FIGURE}"] [name="speed"]', "fast")
    page.click(f'[data-explorer="{_FIGURE}"] [name="play"]')
    page.wait_for_function(f"() => {find}.dataset.step >= {_STEPS}", timeout=_LONG)


def _rested(page: Page) -> float:
    """Once nothing runs, and what nobody needs is thrown away."""
    if pause := page.query_selector('[name="play"]:text("Pause")'):
        pause.click()
    page.wait_for_timeout(1000)
    page.context.new_cdp_session(page).send("HeapProfiler.collectGarbage")
    page.wait_for_timeout(500)
    return _largest_tab()


def _largest_tab() -> float:
    """Of the browser that this process started."""
    tabs = [
        process
        for process in psutil.Process().children(recursive=True)
        if "--type=renderer" in process.cmdline()
    ]
    return max(tab.memory_full_info().uss for tab in tabs) / 1e6


def _kernel() -> float:
    done = subprocess.run(
        [sys.executable, "-c", _KERNEL],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return int(done.stdout.split()[-1]) / 1e6
