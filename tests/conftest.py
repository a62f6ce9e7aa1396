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

__all__ = ["lab"]  # a fixture, too

# Several test processes share the cores; the kernels and servers that they start inherit this.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A slow machine is no failure, and CI finds today what it found yesterday.
hypothesis.settings.register_profile("bnviz", deadline=None, derandomize="CI" in os.environ)
hypothesis.settings.load_profile("bnviz")

REPOSITORY = Path(__file__).parent.parent


# `make test` has three processes, which mostly wait for a browser or a kernel. What needs the
# browser longest forms two groups of about one length, "page" and "reader"; the third has the rest.
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
def book_url() -> Iterator[str]:
    """The address of the built book, served under a sub-path; ends in a slash."""
    with serving(REPOSITORY / "_build" / "html", prefix="/sub/path/") as url:
        yield url
