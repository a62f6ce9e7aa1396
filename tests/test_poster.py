"""bnviz.poster.draw: marks, ticks and words stand where they belong; same input, same bytes."""

import base64
import copy
import io
import re
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from bnviz import explorers
from bnviz.figure import theme
from bnviz.poster.colours import rgba
from bnviz.poster.draw import poster
from tests.twin import first_drawing

SVG = "{http://www.w3.org/2000/svg}"
LINK = "{http://www.w3.org/1999/xlink}href"
LAYOUT = {
    "height": 300,
    "margin": {"l": 100, "r": 100, "t": 50, "b": 50},
    "xaxis": {"range": [0, 10]},
    "yaxis": {"range": [-1, 1]},
}  # the plot is 500 x 200 pixels, its lower left corner at (100, 250) in SVG's coordinates


def draw(*traces: dict, mode: str = "light", **layout) -> ET.Element:
    return ET.fromstring(poster({"data": list(traces), "layout": {**LAYOUT, **layout}}, mode))


def style(element: ET.Element) -> dict[str, str]:
    parts = [part.split(":", 1) for part in element.get("style", "").split(";") if part]
    return {key.strip(): value.strip() for key, value in parts}


def paths(svg: ET.Element, **wanted: str) -> list[np.ndarray]:
    """Corners of the paths of that style, (n, 2), in SVG's pixels."""
    found = []
    for element in svg.iter(f"{SVG}path"):
        if wanted.items() <= style(element).items():
            numbers = re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", element.get("d"))
            found.append(np.array(numbers, dtype=float).reshape(-1, 2))
    return found


def words(svg: ET.Element) -> dict[str, tuple[float, float]]:
    """Texts and where they stand."""
    found = {}
    for element in svg.iter(f"{SVG}text"):
        place = element.get("x"), element.get("y")
        if None in place:
            place = re.search(r"translate\((\S+) (\S+?)\)", element.get("transform")).groups()
        found["".join(element.itertext())] = tuple(float(v) for v in place)
    return found


def test_words_on_a_logarithmic_axis_stand_at_an_exponent_as_in_plotly():
    word = {"text": "here", "x": 2, "y": 0, "showarrow": False}
    line = {"type": "scatter", "x": [1, 10000], "y": [0, 0]}
    svg = draw(line, xaxis={"type": "log", "range": [0, 4]}, annotations=[word])
    assert words(svg)["here"][0] == pytest.approx(350, abs=1)  # the middle of 100 to 600


# --- the figures of the book ---------------------------------------------------------------------


@pytest.fixture(scope="module", params=explorers.names())
def figure(request):
    return first_drawing(request.param).figure


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_every_figure_of_the_book_has_a_poster(figure, mode):
    before = copy.deepcopy(figure)
    text = poster(figure, mode)
    assert figure == before
    assert poster(figure, mode) == text
    assert len(text.encode()) < 200_000
    svg = ET.fromstring(text)
    assert svg.get("width") == "700"
    assert svg.get("height") == str(figure["layout"]["height"])
    assert not re.search(r"\bnan\b|\binf\b", re.sub(r"base64,[^\"]*", "", text), re.IGNORECASE)
    addresses = set(re.findall(r"https?://[^\"'\s>]+", text))
    assert addresses == {"http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink"}
    shown = words(svg)
    for annotation in figure["layout"].get("annotations", []):
        assert re.sub(r"</?(b|sub)>", "", annotation["text"]) in shown
    assert sum(1 for _ in svg.iter(f"{SVG}image")) == sum(
        trace["type"] == "heatmap" for trace in figure["data"]
    )


def test_light_and_dark_differ_in_words_and_lines_only():
    figure = first_drawing("scale-shift").figure
    light, dark = (poster(figure, mode) for mode in ("light", "dark"))
    for mode, text in (("light", light), ("dark", dark)):
        look = theme.template(mode)["layout"]
        assert look["font"]["color"] in text
        assert look["xaxis"]["gridcolor"] in text
    colours = re.compile(r"#[0-9a-f]{6}")
    assert colours.sub("", light) == colours.sub("", dark)


# --- marks ---------------------------------------------------------------------------------------


def test_a_line_goes_through_its_points_and_breaks_at_gaps():
    line = {"color": "#ff0000", "width": 3, "dash": "dot"}
    trace = {"type": "scatter", "mode": "lines", "line": line}
    svg = draw({**trace, "x": [0, 5, 6, 8, 10], "y": [-1, 0, None, float("nan"), 1]})
    (drawn,) = paths(svg, stroke="#ff0000")
    np.testing.assert_allclose(drawn[:2], [[100, 250], [350, 150]], atol=0.01)
    assert len(drawn) == 3  # the last point stands alone
    (element,) = (p for p in svg.iter(f"{SVG}path") if style(p).get("stroke") == "#ff0000")
    assert style(element)["stroke-width"] == "3"
    assert style(element)["stroke-dasharray"] == "3,3"
    assert element.get("clip-path")


def test_marks_are_cut_at_the_edges_of_their_subplot():
    svg = draw({"type": "scatter", "x": [0, 10], "y": [-5, 5], "line": {"color": "#ff0000"}})
    (element,) = (p for p in svg.iter(f"{SVG}path") if style(p).get("stroke") == "#ff0000")
    name = element.get("clip-path")[5:-1]
    (clip,) = (c for c in svg.iter(f"{SVG}clipPath") if c.get("id") == name)
    assert [clip[0].get(k) for k in ("x", "y", "width", "height")] == ["100", "50", "500", "200"]


@pytest.mark.parametrize(
    ("fill", "floor"),
    [("tozeroy", [[350, 150], [100, 150]]), ("tozerox", [[100, 100]])],  # x = 0 is the left edge
)
def test_an_area_reaches_down_to_zero(fill, floor):
    svg = draw({"type": "scatter", "mode": "lines", "x": [0, 5], "y": [-0.5, 0.5], "fill": fill,
                "fillcolor": "rgba(0,255,0,0.5)", "line": {"color": "#ff0000"}})  # fmt: skip
    (area,) = paths(svg, fill="#00ff00")
    np.testing.assert_allclose(area, [[100, 200], [350, 100], *floor], atol=0.01)


def test_bars_stand_on_zero_with_the_width_they_were_given():
    trace = {"type": "bar", "x": [2, 4, 6], "y": [0.5, 0, -0.5], "width": 1, "opacity": 0.75}
    svg = draw({**trace, "marker": {"color": "#0000ff"}})
    bars = paths(svg, **{"fill": "#0000ff", "fill-opacity": "0.75"})
    assert len(bars) == 2
    np.testing.assert_allclose([bars[0].min(0), bars[0].max(0)], [[175, 100], [225, 150]])
    np.testing.assert_allclose([bars[1].min(0), bars[1].max(0)], [[375, 150], [425, 200]])


def test_markers_stand_on_their_points_in_their_size():
    svg = draw({"type": "scatter", "mode": "markers", "x": [5, None], "y": [0, 0],
                "marker": {"color": "#00ff00", "size": 8, "opacity": 0.5}})  # fmt: skip
    (use,) = svg.iter(f"{SVG}use")
    assert (float(use.get("x")), float(use.get("y"))) == (350, 150)
    assert style(use)["fill"] == "#00ff00"
    assert style(use)["fill-opacity"] == "0.5"
    (shape,) = (p for p in svg.iter(f"{SVG}path") if p.get("id") == use.get(LINK)[1:])
    numbers = np.array(re.findall(r"-?\d+\.?\d*", shape.get("d")), dtype=float)
    assert np.abs(numbers).max() == pytest.approx(4)


def test_a_heatmap_is_its_numbers_as_pixels():
    z = [[0.0, 1.0, None], [0.5, -9.0, 9.0]]
    svg = draw({"type": "heatmap", "x": [1, 2, 3], "y": [-0.5, 0.5], "z": z, "zmin": 0, "zmax": 1,
                "colorscale": [[0, "rgba(255,0,0,0)"], [1, "rgba(255,0,0,1)"]],
                "showscale": False})  # fmt: skip
    (image,) = svg.iter(f"{SVG}image")
    data = base64.b64decode(image.get(LINK).split(",")[1])
    alpha = np.array(Image.open(io.BytesIO(data)).convert("RGBA"))[..., 3]
    assert alpha.tolist() == [[128, 0, 255], [0, 255, 0]]  # the first row of z is at the bottom
    assert (
        image.get("transform") == "matrix(50 0 0 100 125 50)"
    )  # x from 0.5 to 3.5, y from -1 to 1


def test_a_table_writes_its_numbers_in_the_size_and_colour_it_names():
    table = {"type": "heatmap", "x": [0, 5, 10], "y": [0], "z": [[0.125, None, -2.0]],
             "colorscale": [[0, "#ffffff"], [1, "#ffffff"]], "showscale": False,
             "texttemplate": "%{z:.2f}"}  # fmt: skip
    plain, own = draw(table), draw({**table, "textfont": {"color": "#ff0000", "size": 9}})
    for svg in (plain, own):
        assert {"0.12", "−2.00"} <= set(words(svg))
    look = {"".join(t.itertext()): t.get("style") for t in own.iter(f"{SVG}text")}
    assert "#ff0000" in look["0.12"]
    assert "9px" in look["0.12"]
    assert "#ff0000" not in "".join(t.get("style", "") for t in plain.iter(f"{SVG}text"))


def test_an_empty_trace_draws_nothing():
    empty = [{"type": "scatter", "x": [], "y": []}, {"type": "heatmap", "x": [], "y": [1], "z": []}]
    assert not list(draw(*empty).iter(f"{SVG}image"))


# --- axes and words ------------------------------------------------------------------------------


def test_ticks_and_titles_stand_at_their_axes():
    axes = {
        "xaxis": {"range": [0, 10], "dtick": 5, "title": {"text": "step"}},
        "yaxis": {"range": [0, 1], "tickvals": [0, 0.5, 2], "tickformat": ".0%"},
    }
    shown = words(draw({"type": "scatter", "x": [1], "y": [1]}, **axes))
    assert set(shown) == {"0", "5", "10", "0%", "50%", "step"}
    assert [shown[t][0] for t in ("0", "5", "10", "step")] == [100, 350, 600, 350]
    assert shown["0"][1] > 250
    assert shown["step"][1] > shown["0"][1] + 10
    assert shown["0%"][0] == shown["50%"][0] < 100
    assert shown["0%"][1] - shown["50%"][1] == pytest.approx(100)


def test_subplots_have_their_domains_and_the_other_side():
    svg = draw(
        {"type": "scatter", "mode": "lines", "x": [0, 1], "y": [0, 1], "line": {"color": "#ff0000"},
         "xaxis": "x2", "yaxis": "y2"},
        xaxis2={"domain": [0.5, 1], "range": [0, 1], "anchor": "y2", "showticklabels": False},
        yaxis2={"domain": [0, 0.25], "range": [0, 1], "anchor": "x2", "side": "right",
                "tickvals": [0.123]},
    )  # fmt: skip
    (drawn,) = paths(svg, stroke="#ff0000")
    np.testing.assert_allclose(drawn, [[350, 250], [600, 200]], atol=0.01)
    assert words(svg)["0.123"][0] > 600


def test_a_logarithmic_axis_counts_in_decades():
    line = {"type": "scatter", "mode": "lines", "x": [1, 10, 100, -5], "y": [0, 0, 0, 0]}
    svg = draw({**line, "line": {"color": "#ff0000"}},
               xaxis={"type": "log", "range": [0, 2], "exponentformat": "power"})  # fmt: skip
    (drawn,) = paths(svg, stroke="#ff0000")
    np.testing.assert_allclose(drawn[:, 0], [100, 350, 600], atol=0.01)
    shown = words(svg)
    assert shown["10"][0] == 350
    assert shown["10²"][0] == 600


def test_an_axis_without_a_range_surrounds_its_data_and_its_mates():
    axes = {"xaxis": {"domain": [0, 0.4], "matches": "x2"}, "xaxis2": {"domain": [0.6, 1]}}
    red, green = ({"mode": "lines", "line": {"color": c}} for c in ("#ff0000", "#00ff00"))
    narrow, wide = {"x": [0, 1], "y": [0, 1]}, {"x": [0, 4], "y": [0, 1], "xaxis": "x2"}
    svg = draw({**red, **narrow}, {**green, **wide}, showlegend=False, **axes)
    (first,), (second,) = paths(svg, stroke="#ff0000"), paths(svg, stroke="#00ff00")
    assert np.ptp(first[:, 0]) == pytest.approx(50)
    assert np.ptp(second[:, 0]) == pytest.approx(200)


def test_an_axis_without_a_range_leaves_air_around_markers_and_none_below_bars():
    svg = draw({"type": "bar", "x": ["a", "b"], "y": [1, 2], "marker": {"color": "#0000ff"}},
               xaxis={}, yaxis={})  # fmt: skip
    one, two = paths(svg, fill="#0000ff")
    assert one[:, 1].max() == two[:, 1].max() == 250
    assert 50 < two[:, 1].min() < 65
    assert {"a", "b", "0"} <= set(words(svg))
    svg = draw({"mode": "markers", "x": [3, 7], "y": [5, 5]}, xaxis={}, yaxis={})
    left, right = (float(use.get("x")) for use in svg.iter(f"{SVG}use"))
    assert 110 < left < 140
    assert left - 100 == pytest.approx(600 - right, abs=0.0101)  # places are in 1/100 of a pixel


def test_annotations_stand_where_they_refer_to():
    def note(text, **place):
        return {"text": text, "showarrow": False, "xanchor": "left", "yanchor": "bottom", **place}

    svg = draw(annotations=[
        note("<b>paper</b>", x=0, y=1, xref="paper", yref="paper"),
        note("domain", x=1, y=0, xref="x domain", yref="y domain"),
        note("data", x=5, y=0, xref="x", yref="y", font={"color": "#ff0000", "size": 20}),
    ])  # fmt: skip
    shown = words(svg)
    assert shown["paper"] == pytest.approx((103, 46), abs=5)
    assert shown["domain"] == pytest.approx((603, 246), abs=5)
    assert shown["data"] == pytest.approx((353, 144), abs=5)
    styles = {"".join(t.itertext()): t.get("style") for t in svg.iter(f"{SVG}text")}
    assert "20px" in styles["data"]
    assert "#ff0000" in styles["data"]
    assert all("Segoe UI" in s and "DejaVu" not in s for s in styles.values())


def test_a_part_of_a_text_may_be_bold():
    svg = draw(annotations=[{"text": "<b>loss</b>: both", "x": 0, "y": 1, "showarrow": False}])
    (text,) = (t for t in svg.iter(f"{SVG}text") if "loss" in "".join(t.itertext()))
    (bold,) = text
    assert bold.text == "loss"
    assert "bold" in bold.get("style")
    assert bold.tail == ": both"


@pytest.mark.parametrize(("tag", "side"), [("sub", 1), ("sup", -1)])
def test_a_subscript_stands_lower_and_what_follows_does_not(tag, side):
    word = {"text": f"<b>μ<{tag}>B</{tag}>, in σ</b>", "x": 0, "y": 1, "showarrow": False}
    (text,) = (
        t for t in draw(annotations=[word]).iter(f"{SVG}text") if "μ" in "".join(t.itertext())
    )
    (bold,) = text
    low, after = bold
    assert [bold.text, low.text, after.text] == ["μ", "B", ", in σ"]
    assert side * float(low.get("dy")) == -side * float(after.get("dy")) > 0


def test_a_grid_runs_through_every_subplot_of_its_axis_but_not_between_bars():
    grid = theme.template("light")["layout"]["xaxis"]["gridcolor"]
    halves = {"xaxis": {"domain": [0, 0.4], "range": [0, 1], "showgrid": False},
              "xaxis2": {"domain": [0.6, 1], "range": [0, 1], "showgrid": False},
              "yaxis": {"range": [1, 2], "tickvals": [1.5]}}  # fmt: skip
    svg = draw({"x": [0, 1], "y": [1, 2]}, {"x": [0, 1], "y": [1, 2], "xaxis": "x2"}, **halves)
    lines = paths(svg, stroke=grid)
    assert sorted(tuple(line[:, 0]) for line in lines) == [(100, 300), (400, 600)]
    svg = draw({"type": "bar", "x": [1], "y": [1]}, yaxis={"range": [0, 1], "showgrid": False})
    assert not paths(svg, stroke=grid)


def test_two_named_traces_get_a_legend():
    traces = [{"x": [0, 1], "y": [0, 1], "name": name} for name in ("without BN", "with BN")]
    assert {"without BN", "with BN"} <= set(words(draw(*traces)))
    assert "with BN" not in words(draw(*traces, showlegend=False))
    assert "with BN" not in words(draw(traces[1]))


def test_dollars_and_angles_are_words_not_formulas():
    assert "$5 & <$6" in words(draw(xaxis={"range": [0, 1], "title": {"text": "$5 & <$6"}}))


@pytest.mark.parametrize(
    ("colour", "expected"),
    [
        ("#ff0000", (1, 0, 0, 1)),
        ("rgb(0,255,0)", (0, 1, 0, 1)),
        ("rgba(0, 0, 255, .5)", (0, 0, 1, 0.5)),
        ("white", (1, 1, 1, 1)),
    ],
)
def test_colours_are_read_as_css_writes_them(colour, expected):
    assert rgba(colour) == expected


def test_packed_arrays_are_read():
    packed = {"dtype": "f4", "bdata": base64.b64encode(np.float32([0, 10]).tobytes()).decode()}
    svg = draw({"mode": "lines", "x": packed, "y": [0, 0], "line": {"color": "#ff0000"}})
    np.testing.assert_allclose(paths(svg, stroke="#ff0000")[0][:, 0], [100, 600], atol=0.01)


@pytest.mark.parametrize(
    ("trace", "mode", "message"),
    [
        ({"type": "violin"}, "light", "cannot draw a trace of type 'violin'; it knows"),
        ({"type": "heatmap", "z": [[1, 2]], "colorscale": "Rainbows"}, "light", "'Rainbows'"),
        ({"type": "scatter"}, "grey", "mode is 'light' or 'dark', got 'grey'"),
    ],
)
def test_what_cannot_be_drawn_is_named(trace, mode, message):
    with pytest.raises(ValueError, match=message):
        draw(trace, mode=mode)
