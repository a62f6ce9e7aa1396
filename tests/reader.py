"""A reader in the built book: open a page, move a control, read back what is drawn."""

from contextlib import contextmanager
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page

LIVE = 60_000  # milliseconds until a figure is live on a busy machine


class Reader:
    """One page of the built book, with all that went wrong on it."""

    def __init__(self, page: Page, book_url: str):
        self.page, self.book_url = page, book_url
        self.errors: list[str] = []
        self.elsewhere: list[str] = []
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
        """Until plotly itself has drawn what the canvas showed."""
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


@contextmanager
def reading(browser: Browser, book_url: str, **options):
    """A fresh reader; at the end nothing may have gone wrong, nor been asked of another host."""
    context = browser.new_context(viewport={"width": 1200, "height": 900}, **options)
    reader = Reader(context.new_page(), book_url)
    try:
        yield reader
    finally:
        context.close()
    reader.check()
