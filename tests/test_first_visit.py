"""What a page asks for, and when: nothing that figures need waits for another file to be read."""

import re

import pytest

from tests.conftest import REPOSITORY
from tests.pages import FIGURES
from tests.reader import reading

_HTML = REPOSITORY / "_build" / "html" / "book"
_EARLY = re.compile(r'<link rel="(?:modulepreload|preload)"[^>]* href="([^"]*)"')
# how often each file was asked for, by its name
_ASKED = """() => performance.getEntriesByType("resource").reduce(
  (found, { name }) => ({ ...found, [name]: (found[name] ?? 0) + 1 }), {})"""


@pytest.mark.parametrize("path", sorted(path for path, names in FIGURES.items() if names))
def test_what_is_asked_for_early_is_there(path):
    early = _EARLY.findall((_HTML / path).read_text(encoding="utf-8"))
    assert any("plotly-" in address for address in early)
    for address in early:
        assert (_HTML / address.partition("?")[0]).is_file()


def test_what_is_asked_for_early_is_used_and_asked_for_once(browser, book_url):
    early = _EARLY.findall((_HTML / "steps.html").read_text(encoding="utf-8"))
    with reading(browser, book_url) as reader:
        said = []
        reader.page.on("console", lambda message: said.append(message.text))
        reader.open("book/steps.html")
        reader.figure("normalize")
        reader.page.wait_for_load_state("networkidle")
        reader.page.wait_for_timeout(4000)  # then a browser says what it loaded in vain
        asked = reader.page.evaluate(_ASKED)
        base = book_url + "book/"
        addresses = reader.page.evaluate(
            "([early, base]) => early.map((a) => new URL(a, base).href)", [early, base]
        )
    assert {address: asked[address] for address in addresses} == dict.fromkeys(addresses, 1)
    assert not [text for text in said if "preload" in text]


@pytest.mark.parametrize("path", sorted(FIGURES))
def test_no_script_of_the_theme_holds_up_the_page(path):
    html = (_HTML / path).read_text(encoding="utf-8")
    scripts = re.findall(r"<script ([^>]*src=[^>]*)>", html)
    held = [s for s in scripts if not re.search(r'\b(defer|async|type="module")', s)]
    assert [re.search(r"(\w+)\.js", s)[1] for s in held] == ["documentation_options"]
