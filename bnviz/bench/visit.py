"""A first visit with an empty cache: bytes and seconds, against a chapter of FigureWidgets."""

import gzip
import json
import statistics
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from pathlib import Path

import plotly.graph_objects as go
from ipywidgets.embed import embed_minimal_html
from playwright.sync_api import Browser, Page, Response, sync_playwright

from bnviz import explorers
from bnviz.bench.page import figure_pages
from bnviz.bench.rows import Row
from bnviz.bench.slow import quartered, slow_network, slow_page
from bnviz.compile import artifacts
from bnviz.figure.explorer import Simulation
from bnviz.tools.browser import launch
from bnviz.tools.serve import BOOK, serving

__all__ = ["visit_rows"]

CHAPTER = "book/shift.html"
_TURNS = 5
_LIVE = 120_000  # milliseconds
_GROUP = "First visit"
# A reader who saves data gets a figure's functions with the first touch and not before; so do we
# here, to have the two apart.
_THRIFTY = (
    "Object.defineProperty(Navigator.prototype, 'connection', {get: () => ({saveData: true})});"
)
# When a figure was drawn and when it was live, in seconds since the navigation.
_SEEN = """
    window.seen = {};
    new MutationObserver((records) => {
      for (const { target } of records) {
        const { explorer, state } = target.dataset;
        const now = performance.now() / 1e3;
        if (target.classList.contains("bnviz-ready")) seen[`${explorer} ready`] ??= now;
        if (state === "live") seen[`${explorer} live`] ??= now;
      }
    }).observe(document, { subtree: true, attributeFilter: ["class", "data-state"] });
    window.touch = (name) => {
      const figure = document.querySelector(`figure.bnviz[data-explorer="${name}"]`);
      const began = performance.now() / 1e3;
      figure.dispatchEvent(new PointerEvent("pointerdown", { bubbles: true }));
      return began;
    };
"""
_PACKED = (".gz", ".png", ".woff", ".woff2")  # compressed as they are


class _Visit:
    """One reader with an empty cache, from the address to a live figure."""

    def __init__(self, browser: Browser, url: str, name: str, *, slow: bool = False):
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        context.add_init_script(_THRIFTY + _SEEN)
        page = context.new_page()
        self.answers: list[Response] = []
        page.on("response", lambda answer: self.answers.append(answer))
        if slow:
            slow_network(page)
        with slow_page(page) if slow else nullcontext():
            page.goto(f"{url}#{name}", wait_until="commit")
            self.drawn = self._until(page, name, "ready")
            page.wait_for_load_state("networkidle")
        self.before = self._bytes(self.answers)
        self.html = self._bytes(self.answers[:1])
        had = len(self.answers)
        with quartered() if slow else nullcontext():
            touched = page.evaluate("name => touch(name)", name)
            self.live = self._until(page, name, "live") - touched
        page.wait_for_load_state("networkidle")
        self.later = self._bytes(self.answers[had:])
        context.close()

    @staticmethod
    def _until(page: Page, name: str, what: str) -> float:
        """Seconds from the navigation until the page has seen that of the figure."""
        found = page.wait_for_function(f"() => seen['{name} {what}']", timeout=_LIVE)
        return found.json_value()

    @staticmethod
    def _bytes(answers: list[Response]) -> int:
        """Of the bodies, compressed as a server of static pages would."""
        bodies = ((a.url.split("?")[0], a.body()) for a in answers if a.ok and a.status != 304)
        return sum(
            len(body) if url.endswith(_PACKED) else len(gzip.compress(body, 6))
            for url, body in bodies
        )


def visit_rows() -> Iterator[Row]:
    """Compressed kilobytes and seconds of a first visit to a chapter; what figures need to live."""
    names = [name for name, path in figure_pages().items() if path == CHAPTER]
    training = next(n for n in names if isinstance(explorers.get(n), Simulation))
    with (
        sync_playwright() as playwright,
        launch(playwright) as browser,
        serving(BOOK, published=True) as url,
    ):

        def visits(name: str, slow: bool = False) -> list[_Visit]:
            return [_Visit(browser, url + CHAPTER, name, slow=slow) for _ in range(_TURNS)]

        first, second = visits(names[0]), visits(training)
        slow_first, slow_second = visits(names[0], True), visits(training, True)
    yield from _byte_rows(first, names)
    touch = "from the first touch until it computes"

    def row(what: str, values: Iterable[float], target: float | None = None) -> Row:
        return Row(_GROUP, what, "", "s", tuple(values), target=target)

    yield row("until the first figure is drawn", (v.drawn for v in first))
    yield row("the same, slow reader", (v.drawn for v in slow_first), 6)
    for what, found, target in (
        (touch, first, 0.1),
        (f"{touch}, a training", second, 0.1),
        (f"{touch}, slow reader", slow_first, 1.5),
        (f"{touch}, a training, slow reader", slow_second, 1.5),
    ):
        yield row(what, (v.live for v in found), target)


def _byte_rows(visits: list[_Visit], names: list[str]) -> Iterator[Row]:
    """What was loaded until one figure was live, with others beside it."""
    embedded = _embedded(names) / 1e3

    def row(what: str, values: Iterable[float], target: float | None = None) -> Row:
        return Row(_GROUP, what, "", "kB", tuple(values), target=target)

    yield row("the page itself, compressed", (v.html / 1e3 for v in visits), 200)
    before = tuple(v.before / 1e3 for v in visits)
    yield row("everything before a touch", before, 1200)
    yield row("from the first touch until it computes", (v.later / 1e3 for v in visits), 150)
    sizes = sorted(_needs(BOOK).values())
    yield row("the same, worst figure of the book", [sizes[-1] / 1e3], 150)
    yield row("the same, median figure", [statistics.median(sizes) / 1e3], 30)
    whole = tuple((v.before + v.later) / 1e3 for v in visits)
    against = "the same figures as FigureWidgets"
    peers = (embedded,) * _TURNS
    yield Row(_GROUP, "before a touch", against, "kB", before, peers)
    yield Row(_GROUP, "until a figure computes", against, "kB", whole, peers)


def _needs(book: Path) -> dict[str, int]:
    """Bytes that each figure needs to become live: its module, and the data if it uses any."""
    folder, found = book / "_static" / "bnviz" / "figures", {}
    for path in folder.glob("*.json"):
        spec = json.loads(path.read_text(encoding="utf-8"))
        module = spec["module"]
        files = {module["url"], *(part["url"] for part in module["data"])}
        found[spec["name"]] = sum((folder / file).stat().st_size for file in files)
    return found


def _embedded(names: list[str]) -> int:
    """Bytes of a page with the first drawings of these figures as FigureWidgets, compressed.

    Its sliders move nothing, and the program that shows widgets at all, which such a page takes
    from another host, is not counted.
    """
    views = []
    for name in names:
        drawing = artifacts.first_drawing(explorers.get(name)).figure
        views.append(go.FigureWidget(data=drawing["data"], layout=drawing["layout"]))
    file = _Text()
    embed_minimal_html(file, views=views, title="", drop_defaults=False)
    return len(gzip.compress(file.text.encode(), 6))


class _Text:
    """A file that keeps what is written."""

    text = ""

    def write(self, text: str) -> None:
        self.text += text
