"""A reader in the built book: open a page, move a control, read back what is drawn.

To load a page and bring its figures to life takes some seconds of a processor. Tests that leave a
page as they found it share one (the fixture `reader`, over a `Shelf`); the others open their own
(`reading`).
"""

from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, ViewportSize

from bnviz.figure import theme

LIVE = 60_000  # milliseconds until a figure is live on a busy machine
WINDOW: ViewportSize = {"width": 1200, "height": 900}
# Formulas that are set later move what stands below them, by fractions of a pixel too.
AT_REST = "MathJax.startup.promise.then(() => document.fonts.ready).then(() => {})"
TWO_FRAMES = "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
# A figure that was never moved keeps its first drawing; the others are reset and come to rest.
AS_OPENED = """async () => {
  const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
  const moved = [];
  for (const node of document.querySelectorAll("figure.bnviz[data-state=live]")) {
    if (node.dataset.renders === "0") continue;
    for (const menu of node.querySelectorAll("details[open]")) menu.open = false;
    for (const [name, value] of [["seed", "0"], ["speed", "normal"]]) {
      const input = node.querySelector(`[name=${name}]`);
      if (input) input.value = value;
    }
    moved.push(node);
    node.querySelector("button[name=reset]").click();
  }
  document.activeElement?.blur();
  scrollTo({ top: 0, behavior: "instant" });
  const resting = (node) => !node.dataset.doing && !node.querySelector(".bnviz-hot");
  const begun = Date.now();
  do {
    await frame();
    await frame(); // the newest picture may wait for the next one
    if (Date.now() > begun + 60_000) throw Error("a figure does not come to rest");
  } while (!moved.every(resting));
}"""
# Whether the page, and every figure that plotly has drawn, is in the colours of a mode, and no
# colour is on its way to another.
IN_MODE = """([mode, ink]) => document.documentElement.dataset.theme === mode
  && [...document.querySelectorAll(".bnviz-ready .bnviz-plot")].every(
    (plot) => plot.layout.template.layout.font.color === ink)
  && document.getAnimations().every(({ effect }) => effect.getComputedTiming().iterations > 9)"""
# Whether plotly has drawn every figure for the width that its column has now.
FITS = """() => [...document.querySelectorAll(".bnviz-ready .bnviz-plot")].every(
  (plot) => Math.abs(plot._fullLayout.width - plot.clientWidth) <= 1)"""


class Reader:
    """One page of the built book, with all that went wrong on it."""

    def __init__(self, page: Page, book_url: str):
        self.page, self.book_url = page, book_url
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
        self.spent = False  # a test went wrong here, or says that it left its marks
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._check(request.url))

    def _check(self, url: str) -> None:
        own = url.startswith(self.book_url) or urlsplit(url).scheme in ("data", "blob")
        if not own:
            self.elsewhere.append(url)

    def check(self) -> None:
        """Nothing went wrong, and nothing was asked of another host."""
        if self.errors or self.elsewhere:
            raise AssertionError(f"errors: {self.errors}; asked elsewhere: {self.elsewhere}")

    @property
    def script(self) -> str:
        """The address of the page's explorer.js, beside which its other modules lie."""
        return self.page.locator('script[src*="explorer.js"]').evaluate("node => node.src")

    def figures(self) -> list["Figure"]:
        """All figures, each drawn by plotly: the page of one who has read to its end."""
        for figure in self.page.locator("figure.bnviz").all():
            figure.scroll_into_view_if_needed()
        self.page.wait_for_function(
            "() => document.querySelectorAll('figure.bnviz:not(.bnviz-ready)').length === 0"
        )
        names = "nodes => nodes.map(node => node.dataset.explorer)"
        return [Figure(self.page, n) for n in self.page.locator("figure.bnviz").evaluate_all(names)]

    def resize(self, width: int, height: int) -> None:
        """Another window; the figures follow."""
        if self.page.viewport_size != {"width": width, "height": height}:
            self.page.set_viewport_size({"width": width, "height": height})
            self.page.wait_for_function(FITS)

    def show(self, mode: str) -> None:
        """By day ("light") or night ("dark"), as the reader's system has it; the figures follow."""
        self.page.emulate_media(color_scheme=mode)
        self.page.wait_for_function(
            IN_MODE, arg=[mode, theme.template(mode)["layout"]["font"]["color"]]
        )

    def as_opened(self) -> None:
        """By day, at the top, in a window of the usual size; figures that were moved are reset."""
        self.resize(**WINDOW)
        self.show("light")
        self.page.evaluate(AS_OPENED)

    def open(self, path: str) -> None:
        self.page.goto(self.book_url + path)

    def figure(self, name: str) -> "Figure":
        """The first figure of that name, once it is live."""
        figure = Figure(self.page, name)
        figure.root.scroll_into_view_if_needed()
        figure.wait_for("node.dataset.state === 'live'")
        return figure


class Figure:
    """A figure of a page, as a reader meets it."""

    def __init__(self, page: Page, name: str):
        self.page, self.selector = page, f'figure.bnviz[data-explorer="{name}"]'
        self.root = page.locator(self.selector).first

    def wait_for(self, condition: str, timeout: int = LIVE) -> None:
        """Until a JavaScript expression about `node` holds."""
        find = "document.querySelector(selector)"
        code = f"selector => {{ const node = {find}; return {condition}; }}"
        self.page.wait_for_function(code, arg=self.selector, timeout=timeout)

    def evaluate(self, expression: str):
        return self.root.evaluate(f"node => {expression}")

    def move(self, name: str, value) -> None:
        """Move a control (sliders: to a position of its scale) and wait for the picture."""
        before = self.renders
        control = self.root.locator(f'[name="{name}"]')
        if isinstance(value, bool):
            control.set_checked(value)
        elif isinstance(value, str):
            control.select_option(value)
        else:
            control.evaluate(
                "(node, value) => { node.value = value;"
                " node.dispatchEvent(new Event('input', {bubbles: true})); }",
                value,
            )
        self.wait_for(f"Number(node.dataset.renders) > {before}")

    def rest(self) -> None:
        """Until nothing is left to do, and plotly itself has drawn what the canvas showed."""
        self.wait_for("!node.dataset.doing")
        self.page.evaluate(TWO_FRAMES)  # the newest picture may wait for the next one
        self.wait_for("!node.querySelector('.bnviz-hot')")

    def press(self, name: str) -> None:
        self.root.locator(f'button[name="{name}"]').click()

    @property
    def renders(self) -> int:
        return int(self.evaluate("node.dataset.renders"))

    @property
    def step(self) -> int:
        return int(self.evaluate("node.dataset.step"))

    @property
    def readout(self) -> str:
        """It is written after the frame with the picture that it belongs to."""
        self.page.evaluate("new Promise(r => requestAnimationFrame(() => setTimeout(r)))")
        return self.root.locator(".bnviz-readout").text_content()

    @property
    def note(self) -> str:
        return self.root.locator(".bnviz-note").text_content()

    def drawn(self, trace: str, attribute: str) -> list:
        """What plotly holds for one attribute of one trace."""
        return self.evaluate(
            "(() => { const plain = v => ArrayBuffer.isView(v) ? Array.from(v) : "
            f"Array.isArray(v) ? v.map(plain) : v; return plain(node.querySelector('.bnviz-plot')"
            f".data.find(t => t.uid === '{trace}')['{attribute}']); }})()"
        )


class Shelf:
    """The page that the last test read, open until a test wants another one."""

    def __init__(self, browser: Browser, book_url: str):
        self.browser, self.book_url = browser, book_url
        self.path, self.held = "", None

    def take(self, path: str) -> Reader:
        """A page of the book, such as "steps.html", as if it had just been opened."""
        if self.held is None or self.held.spent or self.path != path:
            self.put_away()
            self.path, self.held = path, _open(self.browser, self.book_url)
            self.held.open(f"book/{path}")
        else:
            self.held.as_opened()
        return self.held

    def put_away(self) -> None:
        """Close the page, if there is one."""
        if self.held:
            self.held.page.context.close()
            self.held = None


def _open(browser: Browser, book_url: str, **options) -> Reader:
    return Reader(browser.new_context(viewport=WINDOW, **options).new_page(), book_url)


@contextmanager
def reading(browser: Browser, book_url: str, **options):
    """A fresh reader; at the end nothing may have gone wrong, nor been asked of another host."""
    reader = _open(browser, book_url, **options)
    try:
        yield reader
    finally:
        reader.page.context.close()
    reader.check()
