"""bnviz.poster.draw: marks, ticks and words stand where they belong; same input, same bytes."""

import base64
import copy
import io
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import nbformat
import numpy as np
import pytest
from PIL import Image

from bnviz import explorers
from bnviz.figure import theme
from bnviz.poster import draw as module
from bnviz.poster.draw import picture, poster
from bnviz.tools import notebooks
from tests.pages import BOOK
from tests.twin import first_drawing

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
LAYOUT = {
    "height": 300,
    "margin": {"l": 100, "r": 100, "t": 50, "b": 50},
    "xaxis": {"range": [0, 10]},
    "yaxis": {"range": [-1, 1]},
}  # the plot is 500 x 200 pixels, its lower left corner at (100, 250) in SVG's coordinates
LINE = {"type": "scatter", "mode": "lines", "x": [0, 10], "y": [-1, 1]}


def draw(*traces: dict, mode: str = "light", **layout) -> ET.Element:
    return ET.fromstring(poster({"data": list(traces), "layout": {**LAYOUT, **layout}}, mode))


def placed(element: ET.Element, tag: str, at=(0.0, 0.0)) -> Iterator[tuple[ET.Element, np.ndarray]]:
    """The elements of that tag, each with where its own coordinates begin."""
    moves = re.findall(r"translate\(([^,)]+),([^)]+)\)", element.get("transform", ""))
    at = np.add(at, np.sum([[float(v) for v in move] for move in moves], axis=0))
    if element.tag == f"{SVG}{tag}":
        yield element, at
    for child in element:
        if child.tag != f"{SVG}defs":
            yield from placed(child, tag, at)


def style(element: ET.Element) -> dict[str, str]:
    parts = [part.split(":", 1) for part in element.get("style", "").split(";") if ":" in part]
    return {key.strip(): value.strip() for key, value in parts}


def corners(d: str) -> np.ndarray:
    """The corners of a path of straight lines, (n, 2)."""
    points = [[0.0, 0.0]]
    for letter, rest in re.findall(r"([MLHVZ])([^MLHVZ]*)", d):
        numbers = [float(v) for v in re.findall(r"-?[\d.]+", rest)]
        x, y = points[-1]
        points += {"H": [[*numbers, y]], "V": [[x, *numbers]]}.get(
            letter, [numbers][: letter != "Z"]
        )
    return np.array(points[1:])


def paths(svg: ET.Element, kind: str) -> list[np.ndarray]:
    """Corners of the paths of that class, in the picture's pixels; without those of a legend."""
    found = ((p, at) for p, at in placed(svg, "path") if p.get("class") == kind)
    return [corners(p.get("d")) + at for p, at in found if p.get("d").isupper()]


def words(svg: ET.Element) -> dict[str, tuple[float, float]]:
    """Texts and where they stand."""
    return {
        "".join(text.itertext()).replace("\u200b", ""): tuple(
            at + [float(text.get(key, 0)) for key in "xy"]
        )
        for text, at in placed(svg, "text")
    }


def cells(image: ET.Element) -> np.ndarray:
    """(rows, columns, 4), bytes."""
    data = base64.b64decode(image.get(LINK).split(",")[1])
    return np.array(Image.open(io.BytesIO(data)).convert("RGBA"))


# --- the figures of the book ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=explorers.names())
def figure(request):
    return first_drawing(request.param).figure


def test_every_figure_of_the_book_has_a_poster(figure):
    before = copy.deepcopy(figure)
    light, dark = (poster(figure, mode) for mode in ("light", "dark"))
    assert figure == before
    assert poster(figure, "light") == light
    svg = ET.fromstring(light)
    assert svg.get("width") == "700"
    assert svg.get("height") == str(figure["layout"]["height"])
    assert len(light.encode()) < 200_000
    assert not re.search(r"NaN|Infinity|undefined", re.sub(r"base64,[^\"]*", "", light))
    addresses = set(re.findall(r"https?://[^\"'\s>]+", light))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    assert not list(svg.iter(f"{SVG}script"))
    colours = re.compile(r"rgb\([\d, ]+\)|base64,[^\"]*")
    assert colours.sub("", light) == colours.sub("", dark)
    for mode, text in (("light", light), ("dark", dark)):
        assert rgb(theme.template(mode)["layout"]["font"]["color"]) in text


def fill(element: ET.Element) -> str:
    return style(element).get("fill", "")


def rgb(colour: str) -> str:
    return f"rgb({', '.join(str(int(colour[k : k + 2], 16)) for k in (1, 3, 5))})"


def stored_figures() -> list[dict]:
    """The plain plotly figures in the outputs of the notebooks."""
    cells = (cell for path in notebooks.find(BOOK) for cell in nbformat.read(path, 4).cells)
    data = (output.get("data", {}) for cell in cells for output in cell.get("outputs", []))
    return [
        one["application/vnd.plotly.v1+json"] for one in data if any("plotly" in k for k in one)
    ]


def test_the_plain_figures_of_the_notebooks_have_posters_too():
    figures = stored_figures()
    assert len(figures) > 10
    for figure in figures:
        figure["layout"].pop("template", None)
        shown = words(ET.fromstring(poster(figure, "light")))
        assert {said(a["text"]) for a in figure["layout"].get("annotations", [])} <= set(shown)
        assert shown


def said(text: str) -> str:
    return re.sub(r"</?(b|i|sub|sup|br)>", "", text)


# --- marks ---------------------------------------------------------------------------------------


def test_a_line_goes_through_its_points_and_breaks_at_gaps():
    line = {"color": "#ff0000", "width": 3, "dash": "dot"}
    svg = draw({**LINE, "line": line, "x": [0, 5, 6, 8, 10], "y": [-1, 0, None, float("nan"), 1]})
    drawn, alone = paths(svg, "js-line")
    assert alone.tolist() == [[600, 50]]
    np.testing.assert_allclose(drawn, [[100, 250], [350, 150]], atol=0.01)
    element = next(p for p in svg.iter(f"{SVG}path") if p.get("class") == "js-line")
    assert style(element)["stroke"] == rgb("#ff0000")
    assert style(element)["stroke-width"] == "3px"
    assert style(element)["stroke-dasharray"] == "3px, 3px"


def test_marks_are_cut_at_the_edges_of_their_subplot():
    svg = draw({**LINE, "y": [-5, 5]})
    ((group, at),) = ((g, at) for g, at in placed(svg, "g") if g.get("clip-path"))
    assert group.find(f".//{SVG}path[@class='js-line']") is not None
    (clip,) = (
        c for c in svg.iter(f"{SVG}clipPath") if f"url(#{c.get('id')})" in group.get("clip-path")
    )
    assert [clip[0].get(k) for k in ("x", "y", "width", "height")] == [None, None, "500", "200"]
    assert at.tolist() == [100, 50]


def test_bars_stand_on_zero_with_the_width_they_were_given():
    svg = draw({"type": "bar", "x": [2, 4, 6], "y": [0.5, 0, -0.5], "width": 1, "opacity": 0.75})
    bars = [corners(p.get("d")) + at for g, at in placed(svg, "g") if g.get("class") == "point"
            for p, at in placed(g, "path", at)]  # fmt: skip
    np.testing.assert_allclose([bars[0].min(0), bars[0].max(0)], [[175, 100], [225, 150]])
    np.testing.assert_allclose([bars[-1].min(0), bars[-1].max(0)], [[375, 150], [425, 200]])


def test_markers_stand_on_their_points_in_their_size():
    marker = {"color": "#00ff00", "size": 8, "opacity": 0.5, "symbol": "square"}
    svg = draw({"mode": "markers", "x": [5, None], "y": [0, 0], "marker": marker})
    (mark,) = paths(svg, "point")
    assert [mark.min(0).tolist(), mark.max(0).tolist()] == [[346, 146], [354, 154]]
    (element,) = (p for p in svg.iter(f"{SVG}path") if p.get("class") == "point")
    assert fill(element) == rgb("#00ff00")
    assert style(element)["opacity"] == "0.5"


@pytest.mark.parametrize("reverse", [False, True])
def test_a_heatmap_is_its_numbers_as_pixels(reverse):
    z = [[0.0, 1.0, None], [0.5, -9.0, 9.0]]
    svg = draw({"type": "heatmap", "x": [1, 2, 3], "y": [-0.5, 0.5], "z": z, "zmin": 0, "zmax": 1,
                "colorscale": [[0, "rgba(255,0,0,0)"], [1, "rgba(255,0,0,1)"]],
                "reversescale": reverse, "showscale": False})  # fmt: skip
    ((image, at),) = placed(svg, "image")
    x, y, wide, high = (float(image.get(k)) for k in ("x", "y", "width", "height"))
    assert (x + at[0], y + at[1], wide, high) == (125, 50, 150, 200)  # 0.5 to 3.5, -1 to 1
    low, high = (255, 0) if reverse else (0, 255)
    assert cells(image)[..., 3].tolist() == [
        [128, low, high],
        [low, high, 0],
    ]  # the first row is at the bottom


def test_a_table_writes_its_numbers_in_the_size_and_colour_it_names():
    table = {"type": "heatmap", "x": [0, 5, 10], "y": [0], "z": [[0.126, None, -2.0]],
             "colorscale": [[0, "#ffffff"], [1, "#ffffff"]], "showscale": False,
             "texttemplate": "%{z:.2f}"}  # fmt: skip
    plain, own = draw(table), draw({**table, "textfont": {"color": "#ff0000", "size": 9}})
    for svg, colour, size in ((plain, rgb("#2b3137"), "12px"), (own, rgb("#ff0000"), "9px")):
        assert "-2.00" in words(svg)
        (number,) = (t for t in svg.iter(f"{SVG}text") if t.text == "0.13")
        assert (fill(number), style(number)["font-size"]) == (colour, size)


def test_an_empty_trace_draws_nothing():
    empty = [{"type": "scatter", "x": [], "y": []}, {"type": "heatmap", "x": [], "y": [1], "z": []}]
    assert not list(draw(*empty).iter(f"{SVG}image"))


def test_packed_arrays_are_read():
    packed = {"dtype": "f4", "bdata": base64.b64encode(np.float32([0, 10]).tobytes()).decode()}
    (line,) = paths(draw({**LINE, "x": packed, "y": [0, 0]}), "js-line")
    np.testing.assert_allclose(line[:, 0], [100, 600])


# --- axes and words ------------------------------------------------------------------------------


def test_ticks_and_titles_stand_at_their_axes():
    axes = {
        "xaxis": {"range": [0, 10], "dtick": 5, "title": {"text": "step"}},
        "yaxis": {"range": [0, 1], "tickvals": [0, 0.5, 2], "tickformat": ".0%"},
    }
    shown = words(draw({"type": "scatter", "x": [1], "y": [1]}, **axes))
    assert set(shown) == {"0", "5", "10", "0%", "50%", "step"}
    assert [shown[t][0] for t in ("0", "5", "10", "step")] == [100, 350, 600, 350]
    assert 250 < shown["0"][1] < 270
    assert shown["0"][1] + 10 < shown["step"][1] < 300
    assert shown["0%"][0] == shown["50%"][0] < 100
    assert shown["0%"][1] - shown["50%"][1] == pytest.approx(100)


def test_a_logarithmic_axis_counts_in_decades():
    word = {"text": "here", "x": 1, "y": 0, "showarrow": False}  # its x is an exponent
    svg = draw({**LINE, "x": [1, 10, 100], "y": [0, 0.1, 0]}, annotations=[word],
               xaxis={"type": "log", "range": [0, 2], "exponentformat": "power"})  # fmt: skip
    (drawn,) = paths(svg, "js-line")
    np.testing.assert_allclose(drawn[:, 0], [100, 350, 600], atol=0.01)
    shown = words(svg)
    assert shown["10"][0] == pytest.approx(350, abs=5)  # beside where an exponent would stand
    assert shown["here"][0] == pytest.approx(350, abs=1)


def test_a_part_of_a_text_may_be_bold_or_an_index():
    word = {"text": "<b>μ<sub>B</sub></b>: both", "x": 0, "y": 1, "showarrow": False}
    (text,) = (
        t for t in draw(annotations=[word]).iter(f"{SVG}text") if "both" in "".join(t.itertext())
    )
    assert "".join(text.itertext()).replace("\u200b", "") == "μB: both"
    bold = next(t for t in text.iter(f"{SVG}tspan") if "bold" in t.get("style", ""))
    low = next(t for t in bold.iter(f"{SVG}tspan") if t.text == "B")
    assert low.get("dy").startswith("0.")


def test_a_legend_makes_room_for_its_longest_name():
    ends = []
    for name in ("BN", "BN among others"):
        traces = [{**LINE, "name": name}, {**LINE, "name": "b"}]
        ends += [paths(draw(*traces, margin={"r": 0}), "js-line")[0][-1, 0]]
    assert ends[0] - ends[1] == pytest.approx(len(" among others") * 12 / 2, rel=0.2)


@pytest.mark.parametrize("text", ["$5 & <$6", 'opacity: 1; x="0.12345"'])
def test_words_are_neither_formulas_nor_marks(text):
    assert text in words(draw(LINE, xaxis={"range": [0, 1], "title": {"text": text}}))


# --- as PNG --------------------------------------------------------------------------------------


def painted(*traces: dict, **layout) -> np.ndarray:
    """(600, 1400, 3), bytes."""
    data = picture({"data": list(traces), "layout": {**LAYOUT, **layout}})
    return np.array(Image.open(io.BytesIO(data)).convert("RGBA"))


def reds(pixels: np.ndarray) -> tuple[np.ndarray, ...]:
    """Rows and columns that are red."""
    return np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 100))


def test_a_picture_is_white_and_twice_as_sharp():
    pixels = painted({**LINE, "line": {"color": "#ff0000"}, "y": [0, 0]})
    assert pixels.shape == (600, 1400, 4)
    assert pixels[0, 0].tolist() == [255, 255, 255, 255]
    assert (pixels[..., 3] == 255).all()
    rows, columns = reds(pixels)
    assert (rows.min(), rows.max()) == (298, 301)
    assert (columns.min(), columns.max()) == (200, 1199)


@pytest.mark.parametrize("text", ["word", "◆ word", "x̂<sub>ᵢ</sub>", "━ ╍"])
def test_a_picture_has_its_words_whatever_letters_they_need(text):
    word = {
        "text": text,
        "x": 5,
        "y": 0,
        "showarrow": False,
        "font": {"color": "#ff0000", "size": 20},
    }
    rows, columns = reds(painted(annotations=[word]))
    assert len(rows) > 100
    assert np.mean([rows.min(), rows.max()]) == pytest.approx(300, abs=15)
    assert np.mean([columns.min(), columns.max()]) == pytest.approx(700, abs=15)


def test_a_sign_beside_a_word_leaves_the_word_as_it_is():
    """resvg would draw all of it in the font that has the sign."""
    word = {"x": 5, "y": 0, "showarrow": False, "font": {"color": "#ff0000", "size": 20}}
    alone, both = (reds(painted(annotations=[{**word, "text": t}]))[1] for t in ("word", "◆word"))
    sign = reds(painted(annotations=[{**word, "text": "◆"}]))[1]
    assert np.ptp(both) == pytest.approx(np.ptp(alone) + np.ptp(sign), abs=6)  # air between them


def test_cells_of_a_picture_have_sharp_edges():
    scale = {"colorscale": [[0, "#0000ff"], [1, "#ff0000"]], "showscale": False}
    pixels = painted({"type": "heatmap", "x": [2.5, 7.5], "y": [0], "z": [[0, 1]], **scale})
    row = pixels[300, 210:1190, :3]
    assert {tuple(c) for c in row.tolist()} == {(0, 0, 255), (255, 0, 0)}


def test_a_transparent_mark_beside_a_curve_that_leaves_the_picture():
    """resvg ends the process there, unless opacities stand in the paints."""
    mark = {"mode": "markers", "x": [5], "y": [0], "marker": {"color": "#ff0000", "opacity": 0.5}}
    assert painted({**LINE, "y": [-9, 9]}, mark)[300, 700].tolist() != [255, 255, 255, 255]


# --- one Node.js for all, and what it cannot draw ------------------------------------------------


@pytest.mark.parametrize(
    ("trace", "mode", "message"),
    [
        ({"type": "scatter3d"}, "light", r"refuses the figure of scatter3d: .*type"),
        ({"type": "heatmap", "z": [[1, 2]], "colorscale": "Rainbows", "name": "a map"}, "light",
         r"refuses the figure of a map: .*colorscale.*\(Rainbows\)"),
        ({"type": "scatter"}, "grey", "mode is 'light' or 'dark', got 'grey'"),
    ],
)  # fmt: skip
def test_what_cannot_be_drawn_is_named(trace, mode, message):
    with pytest.raises(ValueError, match=message):
        draw(trace, mode=mode)


def test_what_plotly_throws_is_said():
    with pytest.raises(RuntimeError, match=r"(?s)failed at the figure 'mine': .*width"):
        module._drawn({"data": [LINE], "layout": {"title": {"text": "mine"}}}, "light", width=-1)
    assert words(draw(LINE))


def test_a_node_that_ends_is_said_and_another_takes_its_place():
    before = poster({"data": [LINE], "layout": LAYOUT}, "light")
    module._NODES[os.getpid()].process.kill()
    with pytest.raises(RuntimeError, match=r"Node.js ended \(-9\) at the figure of scatter"):
        draw(LINE)
    assert poster({"data": [LINE], "layout": LAYOUT}, "light") == before


def test_a_node_that_does_not_start_says_why(monkeypatch):
    monkeypatch.setattr(module, "_NODES", {})
    monkeypatch.setenv("NODE_OPTIONS", "--no-such-option")
    with pytest.raises(RuntimeError, match=r"(?s)Node.js ended \(9\).*--no-such-option"):
        draw(LINE)


def test_threads_take_turns():
    traces = [{**LINE, "y": [k / 10, 0]} for k in range(8)]
    alone = [poster({"data": [t], "layout": LAYOUT}, "light") for t in traces]
    with ThreadPoolExecutor(4) as pool:
        together = list(
            pool.map(lambda t: poster({"data": [t], "layout": LAYOUT}, "light"), traces)
        )
    assert together == alone


FORK = """
import os
from bnviz.poster.draw import poster

figure = {"data": [{"x": [0, 1], "y": [0, 1]}], "layout": {}}
first = poster(figure, "light")
if (child := os.fork()) == 0:
    os._exit(poster(figure, "light") != first)
assert os.waitpid(child, 0)[1] == 0
assert poster(figure, "light") == first
"""


def test_a_fork_draws_too_and_nothing_stays_open():
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", FORK], capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
