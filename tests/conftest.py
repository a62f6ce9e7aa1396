"""What the tests share: one thread for the maths, one browser, one served book."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from playwright.sync_api import Browser, sync_playwright

from bnviz.tools.browser import launch
from bnviz.tools.serve import serving
from tests.lab import lab
from tests.pages import page_of
from tests.reader import Reader, Shelf
from tests.wheel import environment

__all__ = ["lab"]  # a fixture, too

# Several test processes share the cores; the kernels and servers that they start inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no failure, and CI finds today what it found yesterday.
hypothesis.settings.register_profile("bnviz", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("bnviz")

REPOSITORY = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """A headless Chromium, one per test process."""
    with sync_playwright() as playwright, launch(playwright) as browser:
        yield browser


@pytest.fixture(autouse=True)
def _no_loop_of_the_browsers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Hide Playwright's event loop, parked in this thread, from tests that run one themselves."""
    if "browser" in request.fixturenames:
        yield
        return
    loop = asyncio._get_running_loop()
    asyncio._set_running_loop(None)
    yield
    asyncio._set_running_loop(loop)


@pytest.fixture(scope="session")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Python that has bnviz from its wheel, and everything else from this environment."""
    return environment(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="session")
def book_url() -> Iterator[str]:
    """The address of the built book, served under a sub-path; ends in a slash."""
    with serving(REPOSITORY / "_build" / "html", prefix="/sub/path/") as url:
        yield url


@pytest.fixture(scope="session")
def shelf(browser: Browser, book_url: str) -> Iterator[Shelf]:
    """The page of the book that is open, one per test process."""
    shelf = Shelf(browser, book_url)
    yield shelf
    shelf.put_away()


@pytest.fixture
def reader(request: pytest.FixtureRequest, shelf: Shelf) -> Iterator[Reader]:
    """The test's page of the book, shared with other tests, as if it had just been opened.

    It is the page of the test's parameter `path`, of the figure that is its parameter `name`, or of
    `@pytest.mark.page("steps.html")`. A test that leaves its marks on it sets `reader.spent`.
    """
    reader = shelf.take(page_of(request.node))
    yield reader
    reader.check()


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist looks for groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that share a page run one after another in one process; pages go to any."""
    for item in items:
        if "reader" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group(page_of(item)))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    """After a failure nobody knows what the page looks like; the next test gets a fresh one."""
    report = yield
    if report.failed and "reader" in getattr(item, "funcargs", {}):
        item.funcargs["reader"].spent = True
    return report
