"""Posters beside what plotly.js draws in a browser: the same marks and words at the same places."""

import base64
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bnviz import explorers
from bnviz.figure import theme
from bnviz.poster import draw
from bnviz.poster.draw import poster
from bnviz.tools.assets import node_modules
from tests.twin import first_drawing

FONTS = {
    ("Arimo", "normal"): "@expo-google-fonts/arimo/400Regular/Arimo_400Regular.ttf",
    ("Arimo", "bold"): "@expo-google-fonts/arimo/700Bold/Arimo_700Bold.ttf",
    ("DejaVu Sans", "normal"): "dejavu-fonts-ttf/ttf/DejaVuSans.ttf",
    ("DejaVu Sans", "bold"): "dejavu-fonts-ttf/ttf/DejaVuSans-Bold.ttf",
}
FAMILY = "Arimo, 'DejaVu Sans'"  # the letters that posters are measured with
WORDS = ["a long word on the axis", "another of them", "short"]
LINE = {"x": WORDS, "y": [1e6, 2e6, 3e6]}
# What the book's figures do not have today.
OTHERS = {
    "turned labels with room for them": {
        "data": [LINE],
        "layout": {
            "xaxis": {"tickangle": 60, "automargin": True, "title": {"text": "words"}},
            "yaxis": {"automargin": True, "title": {"text": "numbers"}, "tickformat": ".9f"},
        },
    },
    "a colour bar and cells of several sizes": {
        "data": [
            {"type": "heatmap", "x": [0, 1, 4], "y": [0, 2, 3],
             "z": [[1, 2, 3], [4, None, 6], [7, 8, 9]],
             "colorscale": "Viridis", "reversescale": True,
             "colorbar": {"title": {"text": "how much", "side": "right"}}}
        ],
        "layout": {},
    },
    "notes": {
        "data": [LINE],
        "layout": {
            "title": {"text": "A <b>title</b><br>of two lines"},
            "annotations": [
                {"text": "an arrow<br>and two lines", "x": 1, "y": 2e6, "ax": 40, "ay": 30},
                {"text": "x<sub>i</sub> turned", "x": 0.5, "y": 1, "xref": "paper", "yref": "paper",
                 "xanchor": "left", "yanchor": "top", "showarrow": False, "textangle": 30},
                {"text": "in a <i>box</i>", "x": 0, "y": 0, "xref": "paper", "yref": "paper",
                 "yanchor": "top", "showarrow": False, "bordercolor": "#ff0000", "borderpad": 4},
            ],
        },
    },
    "a legend below": {
        "data": [
            {**LINE, "name": "one <b>bold</b>", "mode": "lines+markers",
             "error_y": {"array": [1e6, 2e6, 1e6]}},
            {**LINE, "name": "another, longer", "type": "bar"},
        ],
        "layout": {"legend": {"orientation": "h", "title": {"text": "these"}}},
    },
}  # fmt: skip
# What a reader sees in an element, as a browser lays it out, by kind of element.
SEEN = """(root) => {
  const paints = ["fill", "fill-opacity", "stroke", "stroke-opacity", "stroke-width"];
  const LOOKS = [...paints, "stroke-dasharray", "opacity", "font-size", "font-weight"];
  const home = root.getBoundingClientRect();
  const seen = { text: [], path: [], image: [] };
  for (const node of root.querySelectorAll("text, path, image")) {
    const { left, top, width, height } = node.getBoundingClientRect();
    const place = [left - home.left, top - home.top, width, height];
    const { tagName: kind, textContent: words } = node;
    const d = node.getAttribute("d") ?? "";
    if (kind === "text" ? !words.trim() : kind === "path" && !d) continue;
    const said = { text: words, path: node.getAttribute("class") ?? "", image: node.href?.baseVal };
    const style = getComputedStyle(node);
    const look = LOOKS.map((name) => style.getPropertyValue(name));
    const numbers = (d.match(/-?[\\d.]+(e-?\\d+)?/g) ?? []).map(Number);
    const listed = Boolean(node.closest(".legend"));
    seen[kind].push({ said: said[kind], place, look, numbers, listed });
  }
  return seen;
}"""


@pytest.fixture(scope="module")
def sheet(browser):
    """A page with plotly.js and the fonts of the posters."""
    fonts = node_modules(Path(draw.__file__).parent)
    page = browser.new_page(viewport={"width": 800, "height": 1200})
    faces = "".join(
        f"@font-face {{ font-family: '{family}'; font-weight: {weight}; src: url("
        f"data:font/ttf;base64,{base64.b64encode((fonts / file).read_bytes()).decode()}) }}"
        for (family, weight), file in FONTS.items()
    )
    page.set_content(f"<style>{faces}</style><div id='plot'></div><div id='poster'></div>")
    plotly = node_modules() / "plotly.js-cartesian-dist-min" / "plotly-cartesian.min.js"
    page.add_script_tag(path=plotly)
    for family, weight in FONTS:
        page.evaluate("font => document.fonts.load(font)", f"{weight} 12px '{family}'")
    yield page
    page.close()


def drawn(page, figure: dict) -> dict:
    """What plotly.js shows there."""
    look = theme.template("light")
    look["layout"]["font"]["family"] = FAMILY
    layout = {"height": 450, **figure["layout"], "template": look, "width": draw.WIDTH}
    page.evaluate(
        "([data, layout]) => Plotly.newPlot('plot', data, layout, { staticPlot: true })",
        [figure["data"], layout],
    )
    return page.evaluate(f"({SEEN})(document.getElementById('plot'))")


def still(page, figure: dict) -> dict:
    """What the poster shows there."""
    svg = poster(figure, "light")
    family = theme.template("light")["layout"]["font"]["family"].replace("'", "")
    assert svg.count(family) == 1
    page.evaluate(
        "svg => { document.getElementById('poster').innerHTML = svg }", svg.replace(family, FAMILY)
    )
    return page.evaluate(f"({SEEN})(document.querySelector('#poster svg'))")


def places(seen: list[dict]) -> np.ndarray:
    """Left, top, width, height of each, (n, 4)."""
    return np.array([one["place"] for one in seen]).reshape(-1, 4)


def pixels(image: dict) -> np.ndarray:
    """(rows, columns, 4): red, green and blue as strong as they are visible, and alpha."""
    data = io.BytesIO(base64.b64decode(image["said"].partition(",")[2]))
    rgba = np.array(Image.open(data).convert("RGBA"), dtype=float)
    return np.concatenate([rgba[..., :3] * rgba[..., 3:] / 255, rgba[..., 3:]], axis=-1)


@pytest.mark.parametrize("name", [*explorers.names(), *OTHERS])
def test_a_poster_is_what_plotly_draws_in_a_browser(sheet, name):
    figure = OTHERS[name] if name in OTHERS else first_drawing(name).figure
    browsers, ours = drawn(sheet, figure), still(sheet, figure)
    assert browsers["text"]
    assert browsers["path"]
    for seen in (browsers, ours):  # plotly and its export hold their layers in another order
        seen["text"].sort(key=lambda one: (one["said"], *np.round(one["place"], -1)))
        seen["path"].sort(key=lambda one: one["said"])
        seen["image"].sort(key=lambda one: tuple(np.round(one["place"], -1)))
    for kind in ("text", "path"):
        for what in ("said", "look"):
            assert [one[what] for one in ours[kind]] == [one[what] for one in browsers[kind]]
    # Notes stand on whole pixels, which a hair's breadth can decide; a legend adds them up.
    np.testing.assert_allclose(places(ours["text"]), places(browsers["text"]), atol=2.1)
    for one, other in zip(ours["path"], browsers["path"], strict=True):
        slack = 2.1 if other["listed"] else 0.05
        np.testing.assert_allclose(one["place"], other["place"], atol=slack, err_msg=one["said"])
        np.testing.assert_allclose(one["numbers"], other["numbers"], atol=0.0051)
    np.testing.assert_allclose(places(ours["image"]), places(browsers["image"]), atol=0.05)
    for one, other in zip(ours["image"], browsers["image"], strict=True):
        np.testing.assert_allclose(
            pixels(one), pixels(other), atol=1.01
        )  # a canvas rounds once more
