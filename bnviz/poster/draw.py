"""The static picture of a plotly figure as SVG: for print, and for readers without JavaScript.

It is a sibling, not a copy: same places, ranges, colours and words, drawn by matplotlib. What the
book's figures use is supported; `marks` knows the traces, `scales` the axes.
"""

import io
import re
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from bnviz.figure import theme
from bnviz.poster import frames, marks, scales
from bnviz.poster.colours import colour_bar, rgba
from bnviz.poster.scales import Axis

__all__ = ["picture", "poster"]

WIDTH = 700  # pixels
_HEIGHT = 450
_MARGIN = {"l": 80, "r": 80, "t": 100, "b": 80}  # plotly's own
_LETTER = frames.LETTER
# Invisible, and unused in the book: they become tags in the SVG.
_TAGS = {"<b>": "\u2061", "</b>": "\u2062"}
_TAGS |= {"<sub>": "\u2063", "</sub>": "\u2064", "<sup>": "\u206a", "</sup>": "\u206b"}
_RC: dict[Any, Any] = {"svg.fonttype": "none", "svg.hashsalt": "bnviz", "text.parse_math": False}


def poster(figure: dict, mode: str) -> str:
    """SVG text of a figure whose traces hold their data, on a transparent background.

    Args:
        figure: a plotly figure as a dict. It is not changed.
        mode: "light" or "dark"; both colour text and lines as `theme.template` does.

    Raises:
        ValueError: for a trace type or a colour scale that is not known, or another mode.

    >>> line = {"type": "scatter", "x": [0, 1], "y": [0, 1]}
    >>> poster({"data": [line], "layout": {}}, "light").startswith("<?xml")
    True
    """
    look = theme.template(mode)["layout"]
    traces = [marks.prepare(trace, k, look["colorway"]) for k, trace in enumerate(figure["data"])]
    canvas = _Canvas(traces, figure["layout"], look)
    with rc_context(_RC):
        canvas.draw()
        return canvas.svg()


def picture(figure: dict) -> bytes:
    """The same as PNG, on white and twice as sharp: for the cards that other sites show.

    >>> line = {"type": "scatter", "x": [0, 1], "y": [0, 1]}
    >>> picture({"data": [line], "layout": {}})[1:4]
    b'PNG'
    """
    look = theme.template("light")["layout"]
    traces = [marks.prepare(trace, k, look["colorway"]) for k, trace in enumerate(figure["data"])]
    canvas = _Canvas(traces, figure["layout"], look, tags={})
    canvas.draw()
    file = io.BytesIO()
    nothing = {"Software": None}
    canvas.figure.savefig(file, format="png", dpi=144, facecolor="white", metadata=nothing)
    return file.getvalue()


class _Canvas:
    """One picture, drawn in pixels from the lower left corner."""

    def __init__(self, traces: list[dict], layout: dict, look: dict, tags: dict = _TAGS):
        self.traces, self.layout, self.look, self.tags = traces, layout, look, tags
        self.height = layout.get("height", _HEIGHT)
        self.entries = marks.listed(traces, layout)
        margin = {**_MARGIN, **layout.get("margin", {})}
        right = max(margin["r"], self._room_at_the_right())
        self.left, self.width = margin["l"], WIDTH - margin["l"] - right
        self.bottom, self.tall = margin["b"], self.height - margin["t"] - margin["b"]
        frame = (self.left, self.bottom, self.width, self.tall)
        self.axes = scales.axes_of(traces, layout, look, frame)
        self.figure = Figure(figsize=(WIDTH / 72, self.height / 72), dpi=72)  # 1 point = 1 pixel
        self.ax = self.figure.add_axes((0, 0, 1, 1))
        self.ax.set(xlim=(0, WIDTH), ylim=(0, self.height))
        self.ax.set_axis_off()

    def draw(self) -> None:
        for axis in self.axes.values():
            frames.grid(self.ax, axis, frames.across(axis, self.axes, self.traces))
        earlier: dict[tuple, dict] = {}
        for trace in sorted(self.traces, key=lambda t: marks.ORDER.index(t["type"])):
            x, y = (self.axes[trace[f"{k}axis"]] for k in "xy")
            clip = Rectangle((x.start, y.start), x.length, y.length, transform=self.ax.transData)
            below, looks = earlier.get((x.name, y.name)), (self.layout, self.look)
            marks.draw(self.ax, trace, (x, y), clip, below, looks)
            earlier[x.name, y.name] = trace
        for shape in self.layout.get("shapes", []):
            self._shape(shape)
        for axis in self.axes.values():
            first, *_ = frames.across(axis, self.axes, [])
            frames.labels(self.ax, self.text, axis, first, WIDTH)
        for annotation in self.layout.get("annotations", []):
            self._annotation(annotation)
        self._legend()
        self._colour_bar()
        title = self.layout.get("title") or {}
        text = title if isinstance(title, str) else title.get("text", "")
        self.text(0.05 * WIDTH, self.height - 24, text, 17, va="center")

    # --- words -----------------------------------------------------------------------------------

    def text(self, x, y, text, size=12.0, colour=None, ha="left", va="baseline", **more) -> None:
        if not text:
            return
        text = re.sub(r"<br ?/?>", "\n", text)
        for tag, mark in self.tags.items():
            text = text.replace(tag, mark)
        text = re.sub(r"</?(b|i|em|sub|sup|span|a)\b[^>]*>", "", text)
        colour = rgba(colour or self.look["font"]["color"])
        self.ax.text(x, y, text, fontsize=size, color=colour, ha=ha, va=va, **more)

    def _place(self, reference: str, value, letter: str) -> float:
        """Pixel of a coordinate that counts along the paper, a subplot or an axis."""
        if reference == "paper":
            start, length = {"x": (self.left, self.width), "y": (self.bottom, self.tall)}[letter]
            return start + value * length
        axis = self.axes[reference.removesuffix(" domain")]
        if reference.endswith(" domain"):
            return axis.start + value * axis.length
        (at,) = axis.pixels([10**value if axis.log else value])  # plotly counts in exponents here
        return at

    def _annotation(self, a: dict) -> None:
        refs = {
            k: a.get(f"{k}ref", "paper" if f"{k}ref" not in a and not a.get(k) else k) for k in "xy"
        }
        x, y = (self._place(refs[k], a[k], k) for k in "xy")
        font = a.get("font", {})
        ha = _anchor(a.get("xanchor", "auto"), a["x"], refs["x"], "left", "center", "right")
        va = _anchor(a.get("yanchor", "auto"), a["y"], refs["y"], "bottom", "center", "top")
        if a.get("showarrow", True):
            dx, dy = a.get("ax", -10), -a.get("ay", -30)
            arrow = {"arrowstyle": "->", "color": rgba(self.look["font"]["color"])}
            self.ax.annotate("", (x, y), (x + dx, y + dy), arrowprops=arrow)
            x, y, ha, va = x + dx, y + dy, "center", "bottom" if dy > 0 else "top"
        x += a.get("xshift", 0) + {"left": 3, "right": -3}.get(ha, 0)  # plotly's padding
        y += a.get("yshift", 0) + {"bottom": 3, "top": -4}.get(va, 0)
        angle = -a.get("textangle", 0)
        self.text(x, y, a["text"], font.get("size", 12), font.get("color"), ha, va, rotation=angle)

    def _shape(self, shape: dict) -> None:
        x0, x1 = (self._place(shape.get("xref", "x"), shape[k], "x") for k in ("x0", "x1"))
        y0, y1 = (self._place(shape.get("yref", "y"), shape[k], "y") for k in ("y0", "y1"))
        line = {"color": self.look["font"]["color"], "width": 2, **shape.get("line", {})}
        alpha = shape.get("opacity", 1)
        stroke = {"linewidth": line["width"], "linestyle": marks.dash(line)}
        colour = rgba(line["color"], alpha)
        if shape.get("type") == "line":
            self.ax.add_line(Line2D([x0, x1], [y0, y1], color=colour, **stroke))
            return
        face = rgba(shape.get("fillcolor", "rgba(0,0,0,0)"), alpha)
        box = Rectangle((x0, y0), x1 - x0, y1 - y0, facecolor=face, edgecolor=colour, **stroke)
        self.ax.add_patch(box)

    # --- legend and colour bar -------------------------------------------------------------------

    def _room_at_the_right(self) -> float:
        legend = self.layout.get("legend", {})
        room = 0.0
        if self.entries and legend.get("x", 1.02) > 1 and legend.get("orientation") != "h":
            room = 54 + _LETTER * 12 * max(len(t["name"]) for t in self.entries)
        return 75.0 if colour_bar(self.traces, self.layout) else room

    def _legend(self) -> None:
        options = self.layout.get("legend", {})
        flat, line = options.get("orientation") == "h", 19
        widths = [48 + _LETTER * 12 * len(t["name"]) for t in self.entries]
        if not widths:
            return
        x, y = options.get("x", 0 if flat else 1.02), options.get("y", -0.1 if flat else 1)
        width = sum(widths) if flat else max(widths)
        height = line if flat else line * len(widths)
        ha = _anchor(options.get("xanchor", "left"), x, "paper", "left", "center", "right")
        va = _anchor(options.get("yanchor", "auto"), y, "paper", "bottom", "center", "top")
        at = self._place("paper", x, "x") - {"left": 0, "center": width / 2, "right": width}[ha]
        top = self._place("paper", y, "y") + {"top": 0, "center": height / 2, "bottom": height}[va]
        for k, trace in enumerate(self.entries):
            left = at + (sum(widths[:k]) if flat else 0)
            middle = top - line * ((0 if flat else k) + 0.5)
            marks.sample(self.ax, trace, left + 5, middle)
            self.text(left + 40, middle, trace["name"], va="center")

    def _colour_bar(self) -> None:
        bar = colour_bar(self.traces, self.layout)
        if bar is None:
            return
        x, y = self._place("paper", 1.02, "x"), self.bottom + 8
        height = self.tall - 30
        marks.gradient(self.ax, bar, (x, x + 18, y, y + height))
        scale = Axis("z", {}, y, height, (bar.low, bar.high))
        for at, label in scale.labels():
            self.text(x + 22, at, label, 11, va="center")
        self.text(x, y + height + 8, bar.title)

    def svg(self) -> str:
        """The picture, with the fonts that the page would choose and a size in pixels."""
        file = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        self.figure.savefig(file, format="svg", transparent=True, metadata=nothing)
        family = self.look["font"]["family"].replace('"', "'")
        text = re.sub(r"(font-family: |font: [^;\"]*px )[^;\"]+", rf"\1{family}", file.getvalue())
        text = re.sub(r"(?<=[ \"(])(-?\d+\.\d\d)\d+", r"\1", text)  # hundredths of a pixel will do
        for tag, down in (("sub", 3), ("sup", -4)):  # what follows comes back to the line
            small = f'<tspan dy="{down}" style="font-size: 75%">\\1</tspan>'
            start, end = _TAGS[f"<{tag}>"], _TAGS[f"</{tag}>"]
            marked = f"{start}(.*?){end}([^<{''.join(_TAGS.values())}]*)"
            text = re.sub(marked, rf'{small}<tspan dy="{-down}">\2</tspan>', text)
        text = text.replace(_TAGS["<b>"], '<tspan style="font-weight: bold">')
        text = text.replace(_TAGS["</b>"], "</tspan>")
        text = re.sub(r"<!DOCTYPE[^>]*>\s*", "", text)  # it names an address
        return re.sub(r'(width|height)="([\d.]+)pt"', r'\1="\2"', text, count=2)


def _anchor(given: str, value, reference: str, low: str, middle: str, high: str) -> str:
    """Which side of a text stands at its coordinate; "auto" goes by thirds, as in plotly."""
    if given != "auto":
        return middle if given == "middle" else given
    if reference != "paper" and not reference.endswith("domain"):
        return middle
    return low if value < 1 / 3 else high if value > 2 / 3 else middle
