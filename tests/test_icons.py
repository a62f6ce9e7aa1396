"""The icon fonts hold every icon that a page shows, and next to nothing else."""

from pathlib import Path

import pytest
from fontTools.ttLib import TTFont

from bnviz.site.icons import icons_in
from tests.pages import FIGURES
from tests.reader import reading

STATIC = Path(__file__).parent.parent / "_build" / "html" / "_static"
FONTS = STATIC / "vendor" / "fontawesome" / "webfonts"
# Every sign that stands before or after an element, with weight and family of its font.
SHOWN = """[...document.querySelectorAll("*")].flatMap(node => ["::before", "::after"].map(part => {
  const style = getComputedStyle(node, part);
  return [style.fontFamily, style.fontWeight, style.content.replaceAll('"', "")];
})).filter(([family, , content]) => family.includes("Font Awesome") && content.length === 1)"""


@pytest.fixture(scope="module")
def signs() -> dict[str, set[int]]:
    return {path.stem: set(TTFont(path).getBestCmap()) for path in FONTS.glob("*.woff2")}


def icons(page, signs) -> set[int]:
    """The icons of a page; each is in the font that it is shown with."""
    seen = set()
    for family, weight, sign in page.evaluate(SHOWN):
        kind = "solid-900" if weight == "900" else "regular-400"
        font = "fa-brands-400" if "Brands" in family else f"fa-{kind}"
        assert ord(sign) in signs[font], f"{ord(sign):x} is not in {font}"
        seen.add(ord(sign))
    return seen


@pytest.mark.parametrize("path", FIGURES)
def test_every_icon_of_every_page_is_in_its_font(reader, signs, path):
    assert len(icons(reader.page, signs)) >= 8


def test_the_pages_that_sphinx_adds_have_their_icons_too(browser, book_url, signs):
    with reading(browser, book_url) as reader:
        for page in ("search.html", "genindex.html"):
            reader.open(page)
            assert icons(reader.page, signs)


def test_the_fonts_are_small():
    assert all(path.stat().st_size < 10_000 for path in FONTS.glob("*.woff2"))


def test_an_icon_counts_however_it_is_shown():
    rules = r'.fa-a:before,.fa-b::before{content:"\f001"}.fa-c:before{content:"\f002"}'
    others = ':root{--icon:"\uf003"} .note:before{content:"\\f004"}'
    assert icons_in([rules, others], ['<i class="fa-solid fa-b">']) == {0xF001, 0xF003, 0xF004}
    assert icons_in([rules], ["fa-other"]) == set()
