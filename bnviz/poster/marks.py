"""The traces of a poster: lines, markers, bars and heatmaps, drawn in pixels."""

import base64
import re

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patches import Polygon, Rectangle

from bnviz.poster.colours import Scale, rgba, scale_of
from bnviz.poster.scales import Axis

__all__ = ["ORDER", "dash", "draw", "gradient", "listed", "prepare", "sample"]

ORDER = ("heatmap", "bar", "scatter")  # later ones lie on top
_DASHES = {"solid": (), "dot": (1, 1), "dash": (3, 3), "longdash": (5, 5), "dashdot": (3, 2, 1, 2)}
_SYMBOLS = {
    "circle": "o", "square": "s", "diamond": "D", "cross": "P", "x": "X", "triangle-up": "^",
    "triangle-down": "v", "star": "*",
}  # fmt: skip


def prepare(trace: dict, number: int, colorway: list[str]) -> dict:
    """A copy with plain lists, axes named and defaults filled in.

    Raises ValueError for a type that no poster can draw.
    """
    kind = trace.get("type", "scatter")
    if kind not in ORDER:
        raise ValueError(f"a poster cannot draw a trace of type {kind!r}; it knows {ORDER}")
    trace = {"type": kind, "xaxis": "x", "yaxis": "y", **trace}
    for name in "xyz":
        trace[name] = _unpacked(trace.get(name))
    if kind == "heatmap":
        height, width = len(trace["z"]), len(trace["z"][0]) if len(trace["z"]) else 0
        trace["x"] = trace["x"] if len(trace["x"]) else list(range(width))
        trace["y"] = trace["y"] if len(trace["y"]) else list(range(height))
    n = max(len(trace["x"]), len(trace["y"]))
    for name in "xy":
        if not len(trace[name]) and kind != "heatmap":
            trace[name] = list(range(n))
    trace.setdefault("mode", "lines+markers" if n < 20 else "lines")
    trace["colour"] = colorway[number % len(colorway)]
    return trace


def _unpacked(values) -> list:
    """A list, also from plotly's packed form."""
    if isinstance(values, dict):
        array = np.frombuffer(base64.b64decode(values["bdata"]), dtype=values["dtype"])
        shape = values.get("shape")
        rows = array.reshape([int(n) for n in str(shape).split(",")]) if shape else array
        return rows.tolist()
    return [] if values is None else list(values)


def draw(ax, trace: dict, axes: tuple[Axis, Axis], clip, below: dict | None, looks: tuple) -> None:
    """One trace, cut at the edges of its subplot; `below` is the one drawn before it there.

    `looks` is the layout of the figure and the layout of the template.
    """
    (x, y), (layout, look) = axes, looks
    if trace.get("visible", True) is not True or not len(trace["x"]):
        return
    if trace["type"] == "heatmap":
        artists = [_heatmap(ax, trace, x, y, layout)]
        if trace.get("texttemplate"):
            artists += _numbers(ax, trace, x, y, look["font"]["color"])
    elif trace["type"] == "bar":
        artists = _bars(ax, trace, x, y)
    else:
        artists = _scatter(ax, trace, x, y, below)
    for artist in artists:
        artist.set(clip_path=clip, zorder=ORDER.index(trace["type"]))


def gradient(ax, scale: Scale, box: tuple) -> None:
    """A colour bar in (left, right, bottom, top)."""
    values = np.linspace(scale.high, scale.low, 64)[:, None]
    _image(ax, scale.colours(values), box)


def _image(ax, pixels: np.ndarray, box: tuple):
    limits = ax.get_xlim(), ax.get_ylim()
    image = ax.imshow(pixels, extent=box, interpolation="none", aspect="auto")
    ax.set(xlim=limits[0], ylim=limits[1])
    return image


def _heatmap(ax, trace: dict, x: Axis, y: Axis, layout: dict):
    z = np.array(trace["z"], dtype=float)  # (rows, columns); the first row is at the bottom
    left, right = _edges(x, trace["x"])
    bottom, top = _edges(y, trace["y"])
    pixels = scale_of(trace, layout).colours(z)[::-1]
    return _image(ax, pixels, (left, right, bottom, top))


def _numbers(ax, trace: dict, x: Axis, y: Axis, colour: str) -> list:
    """What stands in the cells, for a texttemplate "%{text}" or such as "%{z:.2f}"."""
    font = trace.get("textfont", {})
    size, colour = font.get("size", 12), font.get("color", colour)
    style = {"fontsize": size, "ha": "center", "va": "center_baseline", "color": rgba(colour)}
    columns, rows = x.pixels(trace["x"]), y.pixels(trace["y"])
    return [
        ax.text(columns[j], rows[i], text, **style)
        for i, row in enumerate(_cells(trace))
        for j, text in enumerate(row)
    ]


def _cells(trace: dict) -> list[list[str]]:
    """The words in the cells, row by row; "" where there is no number."""
    if trace["texttemplate"] == "%{text}":
        return [[re.sub(r"<[^>]*>", "", word) for word in row] for row in trace["text"]]
    found = re.search(r"%\{z:(\.\df)\}", trace["texttemplate"])
    if found is None:
        raise ValueError(f"no poster knows the template {trace['texttemplate']!r} of a cell")
    spec = found[1]
    return [
        ["" if v is None or not np.isfinite(v) else format(v, spec).replace("-", "−") for v in row]
        for row in trace["z"]
    ]


def _edges(axis: Axis, centres: list) -> tuple[float, float]:
    """Pixels of the outer edges of equally wide cells."""
    at = axis.pixels(centres)
    half = (at[-1] - at[0]) / (len(at) - 1) / 2 if len(at) > 1 else 0.5 * axis.length
    return at[0] - half, at[-1] + half


def _bars(ax, trace: dict, x: Axis, y: Axis) -> list:
    places = x.places(trace["x"])
    gap = float(np.min(np.diff(np.unique(places)), initial=np.inf)) if len(places) > 1 else 1.0
    width = trace.get("width", 0.8 * gap) or 0.8 * gap
    scale = x.length / (x.range[1] - x.range[0])
    (floor,) = y.pixels([0]) if not y.log else (y.start,)
    face = rgba(_colour(trace), trace.get("opacity", 1) * trace.get("marker", {}).get("opacity", 1))
    bars = []
    for at, wide, top in zip(
        x.pixels(trace["x"]), np.broadcast_to(width, len(places)) * scale, y.pixels(trace["y"]),
        strict=True,
    ):  # fmt: skip
        if np.isfinite([at, top]).all() and top != floor:
            bars.append(
                Rectangle((at - wide / 2, floor), wide, top - floor, color=face, lw=0, aa=False)
            )
            ax.add_patch(bars[-1])
    return bars


def _colour(trace: dict) -> str:
    """The colour of a trace as a whole."""
    colour = trace.get("marker", {}).get("color")
    if trace["type"] == "scatter" and "lines" in trace["mode"]:
        colour = trace.get("line", {}).get("color", colour)
    return colour if isinstance(colour, str) else trace["colour"]


def _scatter(ax, trace: dict, x: Axis, y: Axis, below: dict | None) -> list:
    px, py = x.pixels(trace["x"]), y.pixels(trace["y"])
    n = min(len(px), len(py))
    px, py = px[:n], py[:n]
    line, alpha, artists = trace.get("line", {}), trace.get("opacity", 1), []
    if line.get("shape") == "hv" and n:
        px, py = np.repeat(px, 2)[1:], np.repeat(py, 2)[:-1]
    if trace.get("fill", "none") != "none" and n:
        face = rgba(trace["fillcolor"]) if "fillcolor" in trace else rgba(_colour(trace), 0.5)
        area = _area(trace["fill"], px, py, x, y, below)
        artists.append(ax.add_patch(Polygon(area, facecolor=face, linewidth=0)))
    if "lines" in trace["mode"] and line.get("width", 2):
        stroke = {"color": rgba(_colour(trace), alpha), "linewidth": line.get("width", 2)}
        drawn = Line2D(px, py, linestyle=dash(line), solid_joinstyle="round", **stroke)
        artists.append(ax.add_line(drawn))
    errors = trace.get("error_y", {}).get("array")
    if errors is not None:
        ends = [y.pixels(np.array(trace["y"]) + s * np.array(errors)) for s in (-1, 1)]
        artists.append(ax.vlines(px, *ends, color=rgba(_colour(trace), alpha), linewidth=1.5))
    if "markers" in trace["mode"]:
        artists.append(_markers(ax, trace, px, py))
    return artists


def _markers(ax, trace: dict, px, py):
    marker = trace.get("marker", {})
    colour = marker.get("color", _colour(trace))
    alpha = trace.get("opacity", 1) * marker.get("opacity", 1)
    if isinstance(colour, str):
        colours = rgba(colour, alpha)
    elif all(isinstance(c, str) for c in colour):
        colours = [rgba(c, alpha) for c in colour]
    else:
        values = {"z": [list(colour)], "zmin": marker.get("cmin", min(colour))}
        scale = scale_of({**marker, **values, "zmax": marker.get("cmax", max(colour))}, {})
        colours = scale.colours(np.array(colour, dtype=float)) / 255
    symbol = str(marker.get("symbol", "circle"))
    hollow = symbol.endswith("-open")
    rim = marker.get("line", {})
    width = 1.5 if hollow else rim.get("width", 0)
    edge = rgba(rim["color"], alpha) if width and not hollow else colours
    face = {"facecolors": "none" if hollow else colours, "edgecolors": edge}
    size = np.square(np.array(marker.get("size", 6), dtype=float))
    shape = _SYMBOLS.get(symbol.removesuffix("-open"), "o")
    return ax.scatter(px, py, s=size, marker=shape, linewidths=width, **face)


def _area(fill: str, px, py, x: Axis, y: Axis, below: dict | None) -> np.ndarray:
    """The outline that a fill covers: down to zero, or to the trace before."""
    good = np.isfinite(px) & np.isfinite(py)
    px, py = px[good], py[good]
    if fill == "toself" or not len(px):
        return np.column_stack([px, py])
    if fill in ("tonexty", "tonextx") and below is not None:
        bx, by = x.pixels(below["x"])[::-1], y.pixels(below["y"])[::-1]
    elif fill == "tozerox":
        bx, by = np.repeat(x.pixels([0]), 2), py[[-1, 0]]
    else:
        bx, by = px[[-1, 0]], np.repeat(y.pixels([0]), 2)
    return np.column_stack([np.concatenate([px, bx]), np.concatenate([py, by])])


def dash(line: dict):
    """plotly's dash as matplotlib's; its unit is the width of the line, at least 3 pixels."""
    pattern, width = _DASHES.get(line.get("dash", "solid"), ()), line.get("width", 2)
    return (0, [n * max(3, width) / max(width, 1e-6) for n in pattern]) if pattern else "solid"


def sample(ax, trace: dict, x: float, y: float) -> None:
    """What a legend shows beside a name, 30 pixels wide."""
    if trace["type"] == "bar":
        ax.add_patch(Rectangle((x + 9, y - 6), 12, 12, color=rgba(_colour(trace)), lw=0))
        return
    line = trace.get("line", {})
    if "lines" in trace["mode"] and line.get("width", 2):
        stroke = {"color": rgba(_colour(trace)), "linewidth": line.get("width", 2)}
        ax.add_line(Line2D([x, x + 30], [y, y], linestyle=dash(line), **stroke))
    if "markers" in trace["mode"]:
        _markers(ax, {**trace, "error_y": {}}, [x + 15], [y])


def listed(traces: list[dict], layout: dict) -> list[dict]:
    """Traces that the legend lists; plotly shows one for two traces or more."""
    named = [t for t in traces if t.get("showlegend", True) and t["type"] != "heatmap"]
    wanted = layout.get("showlegend", len(named) > 1 or any("showlegend" in t for t in named))
    return [{**t, "name": t.get("name") or "trace"} for t in named] if wanted else []
