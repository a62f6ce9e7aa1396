"""The built book in a browser: from a slider to the picture, and frames while a network trains."""

import re
import statistics
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, ElementHandle, Page, sync_playwright

from bnviz import explorers
from bnviz.bench.rows import Row, percentile
from bnviz.figure.controls import Slider
from bnviz.figure.explorer import Explorer, Simulation
from bnviz.tools.browser import launch
from bnviz.tools.serve import BOOK, serving

__all__ = ["figure_pages", "frame_rows", "opened", "slider_rows"]

_FIGURE = re.compile(r'<figure class="bnviz" data-explorer="([a-z0-9-]+)"')
_WATCH = (Path(__file__).parent / "watch.js").read_text(encoding="utf-8")
_MOVES, _BLOCKS, _SECONDS = 15, 2, 2
_LIVE = 120_000  # milliseconds until a figure is live


def figure_pages(book: Path = BOOK) -> dict[str, str]:
    """The page of the built book that shows a figure, by the figure's name."""
    found = {}
    for path in sorted((book / "book").glob("*.html"), key=lambda p: p.name == "intro.html"):
        for name in _FIGURE.findall(path.read_text(encoding="utf-8")):
            found.setdefault(name, f"book/{path.name}")
    return {name: found[name] for name in explorers.names()}


@contextmanager
def opened(browser: Browser, url: str, name: str) -> Iterator[tuple[Page, ElementHandle]]:
    """A page and the figure of that name in it, live; the functions of `watch.js` as `bench`."""
    context = browser.new_context(viewport={"width": 1200, "height": 900})
    try:
        page = context.new_page()
        page.goto(url)
        page.evaluate(f"() => {{ window.bench = {_WATCH} }}")
        node = page.query_selector(f'figure.bnviz[data-explorer="{name}"]')
        if node is None:
            raise RuntimeError(f"{url} shows no figure {name!r}: build the book again")
        node.scroll_into_view_if_needed()
        find = f"""document.querySelector('figure.bnviz[data-explorer="{name}"]')"""
        page.wait_for_function(f"() => {find}.dataset.state === 'live'", timeout=_LIVE)
        yield page, node
    finally:
        context.close()


def slider_rows() -> Iterator[Row]:
    """One row per figure, against plotly.js drawing the same picture; then two for all figures."""
    all_times: dict[str, tuple[float, ...]] = {}
    group, empty = "Slider to picture", []
    with sync_playwright() as playwright, launch(playwright) as browser, serving(BOOK) as url:
        for name, path in figure_pages().items():
            with opened(browser, url + path, name) as (page, node):
                ours, theirs = _drags(page, node, _slider(explorers.get(name)))
                computing = _computing(page, node, explorers.get(name))
                empty = page.evaluate("count => bench.empty(count)", _MOVES)
            all_times[name] = ours
            more = {"95th percentile": percentile(ours, 95), "of it computing": computing}
            against = "Plotly.react, data at hand"
            yield Row(group, name, against, "ms", ours, theirs, target=1, more=more)
    middle = tuple(statistics.median(times) for times in all_times.values())
    late = tuple(percentile(times, 95) for times in all_times.values())
    yield Row(group, "medians of all figures", "", "ms", middle, target=17.7)
    yield Row(group, "95th percentiles of all figures", "", "ms", late, target=33)
    yield Row(group, "an empty frame", "", "ms", tuple(empty))


def _drags(page: Page, node: ElementHandle, slider: str) -> tuple[tuple[float, ...], ...]:
    """Moves and bare redraws in blocks by turns, in milliseconds."""
    page.evaluate("([node, name]) => bench.drag(node, name, 3)", [node, slider])  # warms up
    sides: tuple[list[float], list[float]] = ([], [])
    for _ in range(_BLOCKS):
        for side, work in zip(sides, ("drag", "redraw"), strict=True):
            page.wait_for_timeout(400)  # plotly has drawn, and rests
            code = f"([node, name, count]) => bench.{work}(node, name, count)"
            side.extend(page.evaluate(code, [node, slider, _MOVES]))
    return tuple(sides[0]), tuple(sides[1])


def _computing(page: Page, node: ElementHandle, explorer: Explorer) -> float:
    """Milliseconds that it takes to compute one picture, the median of several."""
    numbers = explorer.numbers({})
    asked = {"figure": explorer.name, "controls": list(numbers.values())}
    if isinstance(explorer, Simulation):
        asked["batch"] = numbers["batch"]
    code = "([node, asked, count]) => bench.computing(node, asked, count)"
    return statistics.median(page.evaluate(code, [node, asked, _MOVES]))


def _slider(explorer: Explorer) -> str:
    """The first slider that does not begin another run."""
    return next(c.name for c in explorer.controls if isinstance(c, Slider) and not c.restart)


def frame_rows() -> Iterator[Row]:
    """Frames and new pictures a second while each network trains and everything is drawn."""
    pages = figure_pages()
    with sync_playwright() as playwright, launch(playwright) as browser, serving(BOOK) as url:
        for name in explorers.names():
            if not isinstance(explorers.get(name), Simulation):
                continue
            with opened(browser, url + pages[name], name) as (page, node):
                page.locator(f'figure[data-explorer="{name}"] button[name="play"]').click()
                find = f"""document.querySelector('figure.bnviz[data-explorer="{name}"]')"""
                page.wait_for_function(f"() => {find}.dataset.step > 20", timeout=_LIVE)
                code = "([node, seconds]) => bench.frames(node, seconds)"
                turns = [page.evaluate(code, [node, _SECONDS]) for _ in range(3)]
            found = {key: tuple(turn[key] for turn in turns) for key in turns[0]}
            group = "While training"
            yield Row(group, f"{name}: frames", "", "per second", found["frames"], (), "more", 50)
            yield Row(
                group, f"{name}: new pictures", "", "per second", found["pictures"], (), "more"
            )
            yield Row(group, f"{name}: frames over 50 ms", "", "%", found["late"], target=5)
