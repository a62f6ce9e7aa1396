"""Every page for everybody: nothing serious for axe-core; headings, names and keys in order."""

import itertools

import pytest

from bnviz.tools import assets
from tests.pages import FIGURES

AXE = assets.node_modules() / "axe-core" / "axe.min.js"


def findings(page) -> list[str]:
    """What axe calls serious or critical, with the elements."""
    page.evaluate(AXE.read_text() + "; 0")  # a script element would be refused
    report = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{found['impact']}: {found['id']}: {[n['html'][:120] for n in found['nodes'][:3]]}"
        for found in report["violations"]
        if found["impact"] in ("serious", "critical")
    ]


@pytest.mark.parametrize("mode", ["light", "dark"])
@pytest.mark.parametrize("path", FIGURES)
def test_axe_finds_nothing_serious(reader, path, mode):
    reader.figures()
    reader.show(mode)
    assert findings(reader.page) == []


@pytest.mark.page("steps.html")
def test_axe_would_find_something(reader):
    """A check that cannot fail is a bug: a control without a name."""
    reader.figures()
    reader.spent = True
    reader.page.evaluate("document.querySelectorAll('figure label').forEach(l => l.remove())")
    assert any("label" in found for found in findings(reader.page))


@pytest.mark.parametrize("path", FIGURES)
def test_headings_are_in_order(reader, path):
    headings = "[...document.querySelectorAll('article :is(h1, h2, h3, h4)')]"
    levels = reader.page.evaluate(f"{headings}.map(h => Number(h.tagName[1]))")
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in itertools.pairwise(levels)), levels


@pytest.mark.parametrize("path", FIGURES)
def test_every_picture_has_words(reader, path):
    """Figures have a name, a caption and a readout; plain drawings a name."""
    for figure in reader.figures():
        assert figure.root.get_attribute("aria-label")
        plot = figure.root.locator(".bnviz-plot")
        assert len(plot.get_attribute("aria-label")) > 40
        assert figure.root.locator(".bnviz-readout").text_content()
    for plot in reader.page.locator(".bnviz-stored").all():
        assert plot.get_attribute("role") == "img"
        assert len(plot.get_attribute("aria-label")) > 40
