"""A first visit with an empty cache: bytes and seconds, against a chapter of FigureWidgets."""

import gzip
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import plotly.graph_objects as go
from ipywidgets.embed import embed_minimal_html
from playwright.sync_api import Browser, Page, Response, sync_playwright

from bnviz import explorers
from bnviz.bench.page import figure_pages
from bnviz.bench.rows import Row
from bnviz.compile import artifacts
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
_PACKED = (".gz", ".png", ".woff", ".woff2")  # compressed as they are


class _Visit:
    """One reader with an empty cache, from the address to a live figure."""

    def __init__(self, browser: Browser, url: str, name: str):
        context = browser.new_context(viewport={"width": 1200, "height": 900})
        context.add_init_script(_THRIFTY)
        page = context.new_page()
        self.answers: list[Response] = []
        page.on("response", lambda answer: self.answers.append(answer))
        figure = f"""document.querySelector('figure.bnviz[data-explorer="{name}"]')"""
        began = time.perf_counter()
        page.goto(url, wait_until="commit")
        page.wait_for_function(f"() => {figure}?.classList.contains('bnviz-ready')", timeout=_LIVE)
        self.drawn = time.perf_counter() - began
        page.wait_for_load_state("networkidle")
        self.before = self._bytes(self.answers)
        self.html = self._bytes(self.answers[:1])
        had = len(self.answers)
        self.live = self._touch(page, figure)
        page.wait_for_load_state("networkidle")
        later = self.answers[had:]
        self.later = self._bytes(later)
        context.close()

    def _touch(self, page: Page, figure: str) -> float:
        """Seconds from the first touch until the figure computes."""
        began = time.perf_counter()
        touch = "dispatchEvent(new PointerEvent('pointerdown', {bubbles: true}))"
        page.evaluate(f"() => {figure}.{touch}")
        page.wait_for_function(f"() => {figure}.dataset.state === 'live'", timeout=_LIVE)
        return time.perf_counter() - began

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
    with sync_playwright() as playwright, launch(playwright) as browser, serving(BOOK) as url:
        visits = [_Visit(browser, url + CHAPTER, names[0]) for _ in range(_TURNS)]
    embedded = _embedded(names) / 1e3

    def row(what: str, values, unit: str, target: float | None = None) -> Row:
        return Row(_GROUP, what, "", unit, tuple(values), target=target)

    yield row("the page itself, compressed", (v.html / 1e3 for v in visits), "kB", 200)
    before = tuple(v.before / 1e3 for v in visits)
    yield row("everything before a touch", before, "kB", 1200)
    yield row("from the first touch until it computes", (v.later / 1e3 for v in visits), "kB", 150)
    sizes = sorted(_needs(BOOK).values())
    yield row("the same, worst figure of the book", [sizes[-1] / 1e3], "kB", 150)
    yield row("the same, median figure", [statistics.median(sizes) / 1e3], "kB", 30)
    yield row("until the first figure is drawn", (v.drawn for v in visits), "s")
    yield row("from the first touch until it computes", (v.live for v in visits), "s")
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
