"""What surrounds the marks of a poster: grid, zero lines, ticks, their labels, axis titles."""

from collections.abc import Callable
from typing import Any

from matplotlib.lines import Line2D

from bnviz.poster.scales import Axis

__all__ = ["LETTER", "across", "grid", "labels"]

LETTER = 0.56  # width of a letter in parts of the font size, about
_TICK = 5  # pixels


def across(axis: Axis, axes: dict[str, Axis], traces: list[dict]) -> list[Axis]:
    """The axes that this one is drawn along: the one it is anchored to, then its traces' others."""
    other = "y" if axis.letter == "x" else "x"
    first = axis.options.get("anchor")
    names = [first if first in axes else other]
    names += [t[f"{other}axis"] for t in traces if t[f"{axis.letter}axis"] == axis.name]
    return [axes[name] for name in dict.fromkeys(names)]


def grid(ax, axis: Axis, others: list[Axis]) -> None:
    """Grid lines and the zero line, through every subplot of the axis."""
    options, (low, high) = axis.options, sorted(axis.range)
    if options.get("visible") is False:
        return
    lines = []
    if options.get("showgrid", True):
        lines += [(at, options["gridcolor"], 1) for at in axis.pixels(axis.ticks())]
    if options.get("zeroline", True) and not axis.log and low <= 0 <= high:
        lines.append((axis.pixels([0])[0], options["zerolinecolor"], options["zerolinewidth"]))
    for at, colour, width in lines:
        for other in others:
            along, over = [at, at], [other.start, other.start + other.length]
            ends = (along, over) if axis.letter == "x" else (over, along)
            ax.add_line(Line2D(*ends, color=colour, linewidth=width, zorder=-1))


def labels(ax, write: Callable, axis: Axis, other: Axis, width: float) -> None:
    """Ticks, their labels and the title, beside the subplot that the axis is anchored to."""
    options = axis.options
    if options.get("visible") is False:
        return
    far = options.get("side") in ("right", "top")
    edge, out = (other.start + other.length, 1) if far else (other.start, -1)
    shown = axis.labels() if options.get("showticklabels", True) else []
    if options.get("ticks") == "outside" and shown:
        for at, _ in shown:
            ends = [at, at], [edge, edge + out * _TICK]
            ends = ends if axis.letter == "x" else ends[::-1]
            ax.add_line(Line2D(*ends, color=options["tickcolor"], linewidth=1, zorder=-1))
        edge += out * _TICK
    size, middle = options["tickfont"]["size"], axis.start + axis.length / 2
    given = options.get("title", {})
    title: dict[str, Any] = {"text": given} if isinstance(given, str) else given
    gap = title.get("standoff", 6)
    if axis.letter == "x":
        edge += 4 * out
        va = "bottom" if far else "top"
        for at, label in shown:
            write(at, edge, label, size, ha="center", va=va)
        room = 0.9 * size if shown else 0
        write(middle, edge + out * (room + gap), title.get("text", ""), 12, ha="center", va=va)
        return
    edge += 2 * out
    ha = "left" if far else "right"
    for at, label in shown:
        write(edge, at, label, size, ha=ha, va="center")
    room = max((len(label) for _, label in shown), default=0) * LETTER * size
    place = min(max(edge + out * (room + gap), 14), width - 14)
    write(place, middle, title.get("text", ""), 12, ha=ha, va="center", rotation=90)
