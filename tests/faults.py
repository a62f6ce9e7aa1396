"""What can go wrong between the server and a reader: files that are missing, cut, or noise."""

import random
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from playwright.sync_api import Browser, BrowserContext, Route

from tests.reader import Figure, Reader

NAME, PAGE = "scale-shift", "book/steps.html"  # the figure that everything happens to
TRAINING, ITS_PAGE = "train-eval", "book/inference.html"  # or this one, where a worker is needed
# what they stand on, in the order in which it is asked for
FILES = {
    "description": rf"/figures/{NAME}\.[0-9a-f]+\.json",
    "plotly": r"/plotly-[\d.]+\.min\.js",
    "module": rf"/figures/{NAME}\.[0-9a-f]+\.wasm\.gz",
}
FILES_OF_A_TRAINING = {
    "worker": r"/worker\.js",
    "numbers": r"/figures/numbers\.[0-9a-f]+\.bin\.gz",
    "its module": rf"/figures/{TRAINING}\.[0-9a-f]+\.wasm\.gz",
}


def missing(route: Route) -> None:
    route.fulfill(status=404, body="no such file")


def refused(route: Route) -> None:
    route.abort("connectionrefused")


def cut(route: Route) -> None:
    answer = route.fetch()
    body = answer.body()
    route.fulfill(body=body[: len(body) // 2], content_type=answer.headers["content-type"])


def noise(route: Route) -> None:
    answer = route.fetch()
    body = random.Random(0).randbytes(len(answer.body()))
    route.fulfill(body=body, content_type=answer.headers["content-type"])


def flipped(route: Route) -> None:
    """One bit of it is wrong, somewhere behind the head."""
    answer = route.fetch()
    body = bytearray(answer.body())
    body[len(body) // 2] ^= 1
    route.fulfill(body=bytes(body), content_type=answer.headers["content-type"])


class Visit(Reader):
    """A page on which something may go wrong, and the figure that it goes wrong for."""

    def __init__(self, context: BrowserContext, book_url: str, training: bool = False):
        super().__init__(context.new_page(), book_url)
        self.context = context
        name, self.path = (TRAINING, ITS_PAGE) if training else (NAME, PAGE)
        self.seen = Figure(self.page, name)
        self.fault: Callable[[Route], None] | None = None

    def spoil(self, file: str) -> None:
        """From now on `fault` decides what becomes of a file."""

        def decide(route: Route) -> None:
            self.fault(route) if self.fault else route.continue_()

        self.context.route(re.compile((FILES | FILES_OF_A_TRAINING)[file] + r"(\?|$)"), decide)

    def look(self) -> Figure:
        """Open the page and go to the figure."""
        if not self.page.url.startswith(self.book_url + self.path):
            self.open(self.path)
        self.seen.root.scroll_into_view_if_needed()
        return self.seen

    def state(self, *wanted: str) -> None:
        self.seen.wait_for(f"{list(wanted)}.includes(node.dataset.state)")

    def fails(self) -> str:
        """Wait until the figure says that it failed; its picture stays. Returns what it says."""
        self.state("failed")
        assert self.seen.note.endswith("Try again"), self.seen.note
        self.shows_a_picture()
        return self.seen.note

    def try_again(self) -> None:
        """Press the button; it goes, and another comes if the fault is still there."""
        button = self.seen.root.locator("button[name=retry]").element_handle()
        button.click()
        button.wait_for_element_state("hidden")

    def shows_a_picture(self) -> None:
        picture = self.seen.root.locator(".bnviz-poster, .main-svg").locator("visible=true").first
        box = picture.bounding_box()
        assert box["width"] > 300, box
        assert box["height"] > 100, box

    def sentence(self) -> str:
        """What a reader is told where the figure does not move at all."""
        self.shows_a_picture()
        return self.seen.note


@contextmanager
def visiting(
    browser: Browser, book_url: str, init: str = "", training: bool = False, **options
) -> Iterator[Visit]:
    """A visit in a context of its own; `init` is JavaScript that runs before the page's."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
    if init:
        context.add_init_script(init)
    try:
        yield Visit(context, book_url, training)
    finally:
        context.close()
