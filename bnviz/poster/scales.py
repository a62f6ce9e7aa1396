"""The axes of a poster: from values to pixels, and where the ticks go."""

import math
from dataclasses import dataclass, field

import numpy as np
from matplotlib.ticker import MaxNLocator

__all__ = ["Axis", "axes_of"]

_SUPERSCRIPT = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_PIXELS_PER_TICK = {"x": 55, "y": 38, "z": 38}


@dataclass
class Axis:
    """One plotly axis.

    Attributes:
        name: "x", "y2", ...; the letter comes first.
        options: its layout over that of the template.
        start, length: in pixels, from the left or from below.
        range: of values, or of their log10 on a logarithmic axis.
        categories: words in the order of their places 0, 1, 2, ...
    """

    name: str
    options: dict
    start: float
    length: float
    range: tuple[float, float] = (0.0, 1.0)
    categories: list[str] = field(default_factory=list)

    @property
    def letter(self) -> str:
        return self.name[0]

    @property
    def log(self) -> bool:
        return self.options.get("type") == "log"

    def places(self, values) -> np.ndarray:
        """Values as the numbers that `range` counts in; NaN for what cannot be drawn."""
        if self.categories:
            known = {word: k for k, word in enumerate(self.categories)}
            return np.array([known.get(v, math.nan) for v in values], dtype=float)
        values = np.array(values, dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            places = np.log10(values) if self.log else values
        return np.where(np.isfinite(places), places, math.nan)

    def pixels(self, values) -> np.ndarray:
        """Where values lie in the picture."""
        low, high = self.range
        return self.start + (self.places(values) - low) / (high - low) * self.length

    def ticks(self) -> list:
        """Values (or words) with a tick, inside the range."""
        if self.categories:
            return self.categories
        options, (low, high) = self.options, sorted(self.range)
        if "tickvals" in options:
            ticks = list(options["tickvals"])
        elif self.log:
            ticks = _log_ticks(low, high, self.length / _PIXELS_PER_TICK[self.letter])
        elif "dtick" in options:
            step, first = options["dtick"], options.get("tick0", 0)
            k = np.arange(math.ceil((low - first) / step), math.floor((high - first) / step) + 1)
            ticks = [first + step * n for n in k]
        else:
            most = options.get("nticks") or max(2, self.length / _PIXELS_PER_TICK[self.letter])
            locator = MaxNLocator(max(1, int(most)), steps=[1, 2, 5, 10])
            ticks = [t for t in locator.tick_values(low, high) if low <= t <= high]
        slack = 1e-9 * (high - low)
        places = self.places(ticks)
        return [t for t, p in zip(ticks, places, strict=True) if low - slack <= p <= high + slack]

    def labels(self) -> list[tuple[float, str]]:
        """Pixel and text of each tick."""
        ticks = self.ticks()
        texts = [self._label(t) for t in ticks]
        if "ticktext" in self.options and "tickvals" in self.options:
            given = dict(zip(self.options["tickvals"], self.options["ticktext"], strict=True))
            texts = [str(given[t]) for t in ticks]
        return list(zip(self.pixels(ticks), texts, strict=True))

    def _label(self, value) -> str:
        if isinstance(value, str):
            return value
        if spec := self.options.get("tickformat"):
            return format(value, spec.replace("~", "")).replace("-", "−")
        exponent = round(math.log10(value)) if self.log and value > 0 else 0
        power = self.options.get("exponentformat") == "power" and math.isclose(
            value, 10.0**exponent
        )
        if self.log and power and exponent not in (0, 1):
            return f"10{str(exponent).translate(_SUPERSCRIPT)}"
        if abs(value) >= 10_000:
            return f"{value / 1000:g}k".replace("-", "−")
        return f"{round(value, 12):g}".replace("-", "−")


def _log_ticks(low: float, high: float, most: float) -> list[float]:
    """Decades, fewer of them when they crowd, with 2 and 5 between when they are few."""
    decades = range(math.floor(low), math.ceil(high) + 1)
    factors = (1, 2, 5) if len(decades) < 4 else (1,)
    stride = max(1, math.ceil(len(decades) / max(most, 1)))
    return [f * 10.0**d for d in decades if d % stride == 0 for f in factors]


def axes_of(traces: list[dict], layout: dict, look: dict, frame: tuple) -> dict[str, Axis]:
    """Every axis that a trace or the layout names, with its place and range."""
    left, bottom, width, height = frame
    names = {t[f"{k}axis"] for t in traces for k in "xy"} | {"x", "y"}
    axes = {}
    for name in sorted(names):
        letter, own = name[0], layout.get(f"{name[0]}axis{name[1:]}", {})
        options = {**look[f"{letter}axis"], **_bare(name, traces), **own}
        start, length = (left, width) if letter == "x" else (bottom, height)
        a, b = options.get("domain", (0, 1))
        axes[name] = Axis(name, options, start + a * length, (b - a) * length)
    for axis in axes.values():
        leader = axes.get(axis.options.get("matches"), axis)
        group = [a for a in axes.values() if axes.get(a.options.get("matches"), a) is leader]
        axis.categories = _categories(traces, group)
        given = axis.options.get("range") or leader.options.get("range")
        axis.range = tuple(given) if given else _around(axis, traces, group)
    for axis in axes.values():
        if axis.options.get("constrain") == "domain" and axis.options.get("scaleanchor") in axes:
            _match_scales(axis, axes[axis.options["scaleanchor"]])
    return axes


def _match_scales(*pair: Axis) -> None:
    """Shorten the axis with more pixels per unit, about its middle, until both have as many."""
    scales = [axis.length / abs(axis.range[1] - axis.range[0]) for axis in pair]
    for axis, scale in zip(pair, scales, strict=True):
        length = axis.length * min(scales) / scale
        axis.start, axis.length = axis.start + (axis.length - length) / 2, length


def _bare(name: str, traces: list[dict]) -> dict:
    """plotly draws no grid under heatmaps, where it sets ticks instead, nor between bars."""
    kinds = {t["type"] for t in traces if name in (t["xaxis"], t["yaxis"])}
    if "heatmap" in kinds:
        return {"showgrid": False, "zeroline": False, "ticks": "outside"}
    if "bar" in kinds and name[0] == "x":
        return {"showgrid": False, "zeroline": False}
    return {}


def _categories(traces: list[dict], group: list[Axis]) -> list[str]:
    words = [v for values, _ in _values(traces, group) for v in values if isinstance(v, str)]
    return list(dict.fromkeys(words))


def _values(traces: list[dict], group: list[Axis]):
    """The values on any axis of a group, with their traces."""
    for trace in traces:
        for axis in group:
            if trace[f"{axis.letter}axis"] == axis.name:
                yield trace[axis.letter], trace


def _around(axis: Axis, traces: list[dict], group: list[Axis]) -> tuple[float, float]:
    """A range around all data, with plotly's bit of air, and with zero for bars."""
    places, air = [], False
    for values, trace in _values(traces, group):
        p = axis.places(values)
        half = trace.get("width", 0.8) if trace["type"] == "bar" else 1
        wide = trace["type"] == "heatmap" or (trace["type"] == "bar" and axis.letter == "x")
        if wide and len(p):
            step = float(np.min(np.diff(np.unique(p)), initial=1.0)) if len(p) > 1 else 1.0
            p = np.concatenate([p - half * step / 2, p + half * step / 2])
        elif trace["type"] == "bar":
            p = np.append(p, 0.0)
        air |= not wide and (axis.letter == "y" or "markers" in trace.get("mode", ""))
        places.append(p)
    everything = np.concatenate(places) if places else np.array([])
    everything = everything[np.isfinite(everything)]
    if not everything.size:
        return (-1.0, 1.0)
    low, high = float(everything.min()), float(everything.max())
    if axis.options.get("rangemode") == "tozero":
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        low, high = low - 1, high + 1
    extra = 0.055 * (high - low) if air else 0.0
    bars = any(t["type"] == "bar" for _, t in _values(traces, group)) and axis.letter == "y"
    return (low if bars and low == 0 else low - extra, high + extra)
