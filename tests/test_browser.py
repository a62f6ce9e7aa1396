"""The browser that the tests drive, and the book that they open in it."""

import asyncio
import sys

import pytest
from playwright.sync_api import Browser

from bnviz.tools import browser as chromium

same_process = pytest.mark.xdist_group("browser")


@same_process
def test_the_built_book_opens_under_a_sub_path(browser: Browser, book_url: str):
    page = browser.new_page()
    failed = []
    page.on("response", lambda response: response.ok or failed.append(response.url))
    page.goto(book_url)
    page.wait_for_selector("article h1")
    assert page.url.startswith(book_url)
    assert failed == []
    page.close()


@same_process
def test_beside_the_browser_a_test_may_run_its_own_event_loop():
    assert asyncio.run(asyncio.sleep(0, "done")) == "done"


def test_a_program_that_is_no_browser_is_passed_over_and_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(chromium, "_candidates", lambda playwright: iter([sys.executable]))
    with (
        chromium.sync_playwright() as playwright,
        pytest.raises(chromium.BrowserMissingError, match=rf"(?s){sys.executable}.*apt install"),
    ):
        chromium.launch(playwright)
