"""The content security policy of every page: what the book needs runs, nothing else does."""

import re

import pytest

from bnviz.site.policy import guarded, handlers, policy
from tests.reader import reading

PAGE = "book/steps.html"
HEAD = '<html><head>\n    <meta charset="utf-8" />\n<script>let a = 1;</script></head>{}</html>'


def scripts(html: str) -> str:
    return re.search(r"script-src ([^;]*)", policy(html))[1]


def test_only_scripts_that_run_are_let_in_by_their_hash():
    # from the specification of CSP 2, section 4.2.5: the hash of alert('Hello, world.');
    example = "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
    assert example in scripts("<script>alert('Hello, world.');</script>")
    assert example in scripts("<script type=\"module\">alert('Hello, world.');</script>")
    for other in (
        "<script src='a.js'></script>",
        '<script type="application/json">{}</script>',
        '<b class="x" onclick="alert(\'Hello, world.\');">',
    ):
        assert "sha256" not in scripts(other)
        assert "unsafe-hashes" not in scripts(other)
    assert "unsafe-inline" not in scripts(HEAD)
    assert "'unsafe-eval'" not in scripts(HEAD)


def test_a_page_is_guarded_once_by_its_newest_policy():
    once = guarded(HEAD.format(""))
    assert guarded(once) == once
    changed = guarded(once.replace("a = 1", "a = 2"))
    assert changed.count("Content-Security-Policy") == 1
    assert changed != once.replace("a = 1", "a = 2")
    assert guarded("<p>a part of a page</p>") == "<p>a part of a page</p>"


def test_every_page_of_the_book_has_a_policy_before_its_first_script(request):
    book = request.config.rootpath / "_build" / "html"
    pages = [p for p in book.rglob("*.html") if "<head>" in p.read_text(encoding="utf-8")]
    assert len(pages) > 10
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert 0 < text.find("Content-Security-Policy") < text.find("<script"), page
        # the search parses them under its own policy, and newer browsers hold them against it
        assert handlers(text) == [], page


INTRUDERS = {  # JavaScript that brings one in
    "a script from elsewhere": (
        "const s = document.createElement('script'); s.src = 'http://localhost:1/x.js';"
        " document.body.append(s)"
    ),
    "a script as data": (
        "const s = document.createElement('script'); s.src = 'data:text/javascript,injected=1';"
        " document.body.append(s)"
    ),
    "an inline script": (
        "const s = document.createElement('script'); s.textContent = 'window.injected = 1';"
        " document.body.append(s)"
    ),
    "an inline handler": (
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"injected=1\">')"
    ),
    "an address that is a script": (
        "document.body.insertAdjacentHTML('beforeend',"
        " '<a id=bad href=\"javascript:window.injected=1\">x</a>'); document.all.bad.click()"
    ),
    "text as a program": "setTimeout('window.injected = 1', 0)",
}


@pytest.mark.xdist_group("reader")
def test_intruders_are_refused(browser, book_url):
    context = browser.new_context()
    page = context.new_page()
    page.goto(book_url + PAGE)
    page.evaluate(
        "window.refused = []; document.addEventListener('securitypolicyviolation',"
        " event => window.refused.push(event.violatedDirective))"
    )
    for number, (called, code) in enumerate(INTRUDERS.items(), 1):
        page.evaluate(f"() => {{ {code} }}")
        page.wait_for_function("n => window.refused.length >= n", arg=number, timeout=10_000)
        assert page.evaluate("window.injected") is None, called
    assert all(d.startswith("script-src") for d in page.evaluate("window.refused"))
    context.close()


@pytest.mark.xdist_group("reader")
def test_what_the_book_needs_still_runs(browser, book_url):
    with reading(browser, book_url) as reader:  # a refusal is an error on the console
        reader.open(PAGE)
        reader.page.wait_for_selector("mjx-container")
        reader.figure("scale-shift").move("gamma", 2)
        reader.page.locator(".bnviz-stored").first.scroll_into_view_if_needed()
        reader.page.wait_for_selector(".bnviz-stored .main-svg", state="attached")
        before = reader.page.evaluate("document.documentElement.dataset.mode")
        reader.page.locator(".theme-switch-button >> visible=true").first.click()
        assert reader.page.evaluate("document.documentElement.dataset.mode") != before
        reader.open("search.html?q=variance")
        reader.page.wait_for_selector("ul.search li a")
        reader.page.wait_for_selector("ul.search li p.context")  # text of the page that it parsed


@pytest.mark.xdist_group("reader")
def test_the_buttons_of_the_theme_do_what_they_say(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open(PAGE)
        reader.page.evaluate("window.print = () => { window.printed = true; }")
        reader.page.locator(".dropdown-download-buttons > button >> visible=true").click()
        reader.page.locator(".btn-download-pdf-button >> visible=true").click()
        assert reader.page.evaluate("window.printed")
        full = reader.page.locator(".btn-fullscreen-button >> visible=true")
        for state in ("!== null", "=== null"):
            full.click()
            reader.page.wait_for_function(f"() => document.fullscreenElement {state}")
        hidden = "#pst-primary-sidebar.pst-sidebar-hidden"
        reader.page.locator(".primary-toggle >> visible=true").click()
        reader.page.wait_for_selector(hidden, state="attached")
        reader.page.locator(".primary-toggle >> visible=true").click()
        reader.page.wait_for_selector(hidden, state="detached")


@pytest.mark.xdist_group("reader")
def test_from_a_file_the_theme_still_runs(browser, request):
    page = browser.new_page()
    page.goto((request.config.rootpath / "_build" / "html" / PAGE).as_uri())
    assert page.evaluate("typeof DOCUMENTATION_OPTIONS") == "object"
    page.wait_for_selector("mjx-container")
    page.locator(".btn-fullscreen-button >> visible=true").click()
    page.wait_for_function("() => document.fullscreenElement")
    page.close()
