"""Links into a figure: whatever stands in them, they inject nothing and break nothing."""

from urllib.parse import quote

import pytest

from bnviz import explorers
from tests.drawn import assert_drawn
from tests.reader import reading

pytestmark = pytest.mark.xdist_group("reader")

NAME, PAGE = "scale-shift", "book/steps.html"
IMAGE = "<img src=x onerror=window.injected=1>"
SCRIPT = "<script>window.injected=1</script>"
WORDS = ("title", "caption", "label", "note", "readout", "readout_first")
LINKS = {  # what stands behind #, and the values that a reader sees then
    "a value that is no number": ("?gamma=abc", {}),
    "an empty value": ("?gamma=&beta=%20", {}),
    "out of range": ("?gamma=1e308&beta=-99", {"gamma": 3.0, "beta": -5.0}),
    "not finite": ("?gamma=Infinity&beta=NaN", {}),
    "unknown names": ("?nonsense=1&__proto__=2&constructor=3&toString=4", {}),
    "a name twice: the last counts": ("?gamma=1&gamma=2", {"gamma": 2.0}),
    "very long": ("?gamma=" + "9" * 50_000 + "&beta=1", {"beta": 1.0}),
    "many names": ("?" + "&".join(f"n{k}={k}" for k in range(5_000)) + "&beta=1", {"beta": 1.0}),
    "a broken escape": ("?gamma=2&beta=%E0%A4%A", {"gamma": 2.0}),
    "escaped by a program": (quote("?gamma=2&beta=1"), {"gamma": 2.0, "beta": 1.0}),
    "two questions": ("?gamma=2?beta=1", {"gamma": 2.0}),
    "a toggle that is neither": ("?identity=maybe&gamma=2", {"gamma": 2.0}),
    "an element": (f"?gamma={IMAGE}&{IMAGE}=1", {}),
    "an escaped element": (f"?gamma={quote(IMAGE)}&beta={quote(SCRIPT)}", {}),
    "an address": ("?gamma=javascript:window.injected=1", {}),
}


@pytest.mark.parametrize("way", [pytest.param("opened", marks=pytest.mark.long), "followed"])
def test_a_link_gives_the_values_that_make_sense_and_nothing_else(browser, book_url, way):
    explorer = explorers.get(NAME)
    with reading(browser, book_url) as reader:
        reader.open(PAGE)
        figure = reader.figure(NAME)
        for called, (query, values) in LINKS.items():
            if way == "opened":
                reader.page.goto("about:blank")  # with another hash alone it would not be loaded
                reader.open(f"{PAGE}#{NAME}{query}")
                figure = reader.figure(NAME)
            else:
                figure.press("reset")
                reader.page.evaluate("hash => { location.hash = hash }", NAME + query)
            wanted = explorer.numbers(values)
            for control in explorer.controls[:2]:
                shown = figure.root.locator(f"[name={control.name}]").input_value()
                assert float(shown) == pytest.approx(wanted[control.name]), called
            assert figure.evaluate("node.dataset.state") == "live", called
        assert reader.page.evaluate("window.injected") is None
        figure.move("gamma", -2)
        figure.press("reset")
        figure.move("gamma", 2)
        assert_drawn(figure, explorer, {"gamma": 2.0})


def test_a_hash_of_no_figure_is_nobodys(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open(f"{PAGE}#{IMAGE}?{IMAGE}")
        figure = reader.figure(NAME)
        for hash in ("%", "?", "%3F", "?gamma=2", '"]?a=1', "a?b", f"{NAME}&gamma=2"):
            reader.page.evaluate("hash => { location.hash = hash }", hash)
            assert figure.root.locator("[name=gamma]").input_value() == "1"
        assert reader.page.evaluate("window.injected") is None


def test_junk_for_a_training_gives_a_seed_in_range(browser, book_url):
    with reading(browser, book_url) as reader:
        junk = "drift?seed={}&activation=junk&lr=abc"
        reader.open("book/shift.html#" + junk.format("junk"))
        figure = reader.figure("drift")
        field = figure.root.locator("[name=seed]")
        for seed, taken in (("junk", 0), ("-5", 0), ("1e9", 9999), (IMAGE, 0), ("7.4", 7)):
            # where the page was opened, this is its hash already
            reader.page.evaluate("hash => { location.hash = hash }", junk.format(quote(seed)))
            figure.wait_for("node.dataset.step === '0'")
            figure.press("step")
            figure.wait_for("node.dataset.step === '1'")
            assert field.input_value() == str(taken)
        assert reader.page.evaluate("window.injected") is None


def test_a_link_to_a_figure_far_down_brings_the_reader_there(browser, book_url):
    with reading(browser, book_url) as reader:
        reader.open(PAGE)
        reader.page.evaluate("location.hash = 'axes?layer=0'")
        reader.page.wait_for_function(
            "() => { const box = document.querySelector('[data-explorer=axes]')"
            ".getBoundingClientRect(); return box.top < innerHeight && box.bottom > 0; }"
        )


def test_words_of_a_description_stay_words(browser, book_url):
    """Title, caption, labels, options and readout are shown as text, whatever stands in them."""

    def hostile(value):
        if isinstance(value, dict):
            return {
                k: IMAGE if k in WORDS and isinstance(v, str) else hostile(v)
                for k, v in value.items()
            }
        return [hostile(v) for v in value] if isinstance(value, list) else value

    with reading(browser, book_url) as reader:
        reader.page.route(
            f"**/figures/{NAME}.*.json",
            lambda route: route.fulfill(json=hostile(route.fetch().json())),
        )
        reader.open(PAGE)
        figure = reader.figure(NAME)
        figure.move("gamma", 2)
        assert IMAGE in figure.root.locator(".bnviz-title").text_content()
        assert IMAGE in figure.readout
        assert figure.root.locator("img[src=x]").count() == 0
        assert reader.page.evaluate("window.injected") is None
