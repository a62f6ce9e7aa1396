"""The picture of a log: every watched layer over time, and what its numbers say.

As plain dicts and arrays: plotly's own objects check every number, which takes ten times as long as
drawing while somebody waits for a training.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bnviz.figure import theme
from bnviz.watching.log import LayerLog, Log, WeightLog

__all__ = ["LAYERS_SHOWN", "picture", "spread"]

LAYERS_SHOWN = 6  # unless told which; more would be too small to read
_COLUMNS, _BANDS = 200, 64  # of a heatmap, at most
_STRIP, _CURVES = 84, 140  # pixels of a row
_ABOVE, _TICKS = 46, 18  # pixels of its caption, and of the numbers below the row before
_TOP, _BOTTOM, _LEFT = 6, 46, 62
_FRACTIONS = (0.15, 0.5, 0.85)
_LOWEST = 1e-12  # where a zero is drawn on a logarithmic axis

Floats = NDArray[np.float32]
Curves = dict[str, tuple[list[float], str]]  # label -> values, colour


@dataclass
class _Sheet:
    """Where rows of axes stand, and what has been drawn on them."""

    height: int
    data: list[dict[str, Any]] = field(default_factory=list)
    layout: dict[str, Any] = field(default_factory=dict)
    notes: list[dict[str, Any]] = field(default_factory=list)
    _at: int = _TOP  # pixels from the top
    _axes: int = 0

    def row(self, pixels: int, above: int = _ABOVE) -> tuple[float, float]:
        """The next row; its domain."""
        top = self._at + above
        self._at = top + pixels
        whole = self.height - _BOTTOM
        return max(0.0, 1 - self._at / whole), 1 - top / whole

    def axes(self, across: tuple[float, float], up: tuple[float, float], x: dict, y: dict) -> str:
        """A pair of axes; what its traces call it, such as "3"."""
        self._axes += 1
        name = str(self._axes) if self._axes > 1 else ""
        common = {"fixedrange": True, "domain": None}
        self.layout[f"xaxis{name}"] = common | {"domain": across, "anchor": f"y{name}"} | x
        self.layout[f"yaxis{name}"] = common | {"domain": up, "anchor": f"x{name}"} | y
        return name

    def draw(self, axes: str, **trace: Any) -> None:
        self.data.append({"xaxis": f"x{axes}", "yaxis": f"y{axes}"} | trace)

    def caption(self, axes: str, text: str) -> None:
        """Two lines above a pair of axes, from the left edge of the sheet on."""
        self.notes.append(
            {
                "text": text, "x": 0, "xref": "paper", "xanchor": "left", "xshift": 4 - _LEFT,
                "y": 1, "yshift": 5, "yref": f"y{axes} domain", "yanchor": "bottom",
                "showarrow": False, "font": {"size": 12}, "align": "left",
            }
        )  # fmt: skip


def picture(
    log: Log, layers: list[str] | None = None, limits: tuple[float, float] | None = None
) -> dict[str, Any]:
    """Draw a log: a plotly figure as a dict of "data" and "layout".

    A row for each layer: its distribution over the steps, with the 15th, 50th and 85th percentile,
    and on the right the newest one. Below, a line for each layer: flat and dead shares, gradients,
    updates over weights, and of BN layers how far the running values are from the batch.

    Args:
        log: what `bnviz.watch` recorded.
        layers: names; None: six of them, spread from the first to the last.
        limits: of the values shown; None: the range of each layer.

    Raises:
        KeyError: for the name of a layer that was not watched.
        ValueError: when nothing was recorded.
    """
    if not len(log):
        raise ValueError(
            "nothing was recorded yet: train inside the `with` block; the first step is recorded "
            "as soon as it has ended"
        )
    names = spread(list(log.layers)) if layers is None else [*layers]
    shown = {name: log[name] for name in names}
    panels = [(title, curves) for title, curves in _panels(log, shown) if curves]
    pixels = len(shown) * (_STRIP + _ABOVE) + len(panels) * (_CURVES + _ABOVE + _TICKS)
    sheet = _Sheet(height=pixels + _TOP + _BOTTOM)
    for k, (name, layer) in enumerate(shown.items()):
        last = k == len(shown) - 1  # has the numbers for all
        _strip(sheet, log, name, layer, limits, labels=last)
    for k, (title, curves) in enumerate(panels):
        _lines(sheet, log, title, curves, "training step" if k == len(panels) - 1 else "")
    layout = {
        "template": theme.template("light"), "height": sheet.height, "showlegend": False,
        "margin": {"l": _LEFT, "r": 14, "t": 0, "b": _BOTTOM}, "annotations": sheet.notes,
        "hovermode": "closest", "dragmode": False, "meta": {"alt": _in_words(log, shown)},
    }  # fmt: skip
    return {"data": sheet.data, "layout": layout | sheet.layout}


def spread(names: list[str]) -> list[str]:
    """At most six names, evenly spread, the first and the last among them.

    >>> spread(list("abcdefgh"))
    ['a', 'b', 'd', 'e', 'g', 'h']
    """
    if len(names) <= LAYERS_SHOWN:
        return names
    places = np.linspace(0, len(names) - 1, LAYERS_SHOWN).round().astype(int)
    return [names[k] for k in places]


# The distributions


def _strip(
    sheet: _Sheet, log: Log, name: str, layer: LayerLog, limits: Any, *, labels: bool
) -> None:
    bins = layer.bins
    up = sheet.row(_STRIP)
    empty = math.isnan(bins.low)  # it never ran, or never with a finite number
    both = {"range": limits or ((-1, 1) if empty else (bins.low, bins.high)), "nticks": 5}
    quiet = {"showticklabels": False, "showgrid": False}
    over = {"range": _extent(log), "showgrid": False, "showticklabels": labels}
    strip = sheet.axes((0, 0.79), up, over, both)
    now = sheet.axes((0.81, 1), up, quiet, both | {"showticklabels": False})
    sheet.caption(strip, _caption(name, layer))
    if empty:
        return
    colour, scale = (theme.BN, theme.BN_SCALE) if layer.bn else (theme.NEUTRAL, theme.NEUTRAL_SCALE)
    records = _columns(len(log))
    steps = _floats([log.steps[k] for k in records])
    density, middle = _bands(layer, records)
    sheet.draw(
        strip, type="heatmap", x=steps, y=middle, z=density, colorscale=scale, showscale=False,
        hoverinfo="skip",
    )  # fmt: skip
    for share, line in zip(_FRACTIONS, bins.percentiles(records, _FRACTIONS), strict=True):
        sheet.draw(
            strip, type="scatter", mode="lines", x=steps, y=_floats(line),
            line={"color": theme.SECOND, "width": 2 if share == 0.5 else 1},
            hovertemplate=f"step %{{x}}: %{{y:.3g}}<extra>{share:.0%} lie below</extra>",
        )  # fmt: skip
    sheet.draw(
        now, type="scatter", mode="lines", fill="tozerox", hoverinfo="skip",
        x=_floats(bins.density(-1)), y=_floats(bins.centres()),
        line={"color": colour, "width": 1.5},
    )  # fmt: skip


def _columns(records: int) -> list[int]:
    """At most 200 of them, the newest always among them."""
    every = math.ceil(records / _COLUMNS)
    return list(range((records - 1) % every, records, every))


def _bands(layer: LayerLog, records: list[int]) -> tuple[list[Floats], Floats]:
    """Densities of the records, each scaled to its own peak, a row for each band; the bands."""
    merge = len(layer.bins.centres()) // _BANDS
    counts = np.array([layer.bins.rows[k] for k in records], dtype=np.float64)
    counts = counts.reshape(len(records), _BANDS, merge).sum(2)
    peak = counts.max(1, keepdims=True)
    z = np.divide(counts, peak, out=np.zeros_like(counts), where=peak > 0)
    return list(_floats(z.T)), _floats(layer.bins.centres().reshape(_BANDS, merge).mean(1))


def _caption(name: str, layer: LayerLog) -> str:
    """Two lines above a strip, short enough for a phone: the layer, and its newest record."""
    last = {column: values[-1] for column, values in layer.columns.items()}
    head = f"<b>{name or 'the model'}</b> {layer.kind}, {layer.side}"
    if not last["calls"] > 0:
        return f"{head}<br>did not run in this step"
    said = [f"mean {last['mean']:.3g}, std {last['std']:.3g}"]
    for column, word in (("flat", "flat"), ("dead", "dead")):
        if not math.isnan(last[column]):
            said.append(f"{last[column]:.0%} {word}")
    if last["frozen"] == 1:
        said.append("frozen")
    if last["outside"] > 0.001:
        said.append(f"{last['outside']:.1%} outside")
    if last["not_finite"] > 0:
        said.append(f"{last['not_finite']:.1%} not finite")
    return f"{head}<br>{' · '.join(said)}"


# The curves


def _panels(log: Log, shown: dict[str, LayerLog]) -> list[tuple[str, Curves]]:
    layers = dict(zip(shown, _shades(len(shown)), strict=True))

    def of(column: str) -> Curves:
        found = {n: (shown[n].columns[column], colour) for n, colour in layers.items()}
        return {n: curve for n, curve in found.items() if _any(curve[0])}

    flat = {f"{n}: flat": c for n, c in of("flat").items()}
    dead = {f"{n}: units dead": c for n, c in of("dead").items()}
    matrices = {n: w for n, w in log.weights.items() if w.matrix} or log.weights
    weights = dict(zip(matrices, _shades(len(matrices)), strict=True))
    ratios = {n: (_ratios(log.weights[n], len(log)), colour) for n, colour in weights.items()}
    gaps = of("mean_gap")
    return [
        (
            "share of values where the activation is flat<br>dotted: share of units that are dead",
            flat | dead,
        ),
        (
            "gradient at the layer, root mean square<br>from the first, blue, to the last, orange",
            of("gradient"),
        ),
        (
            "update / weights of each matrix<br>root mean squares; dashed: a thousandth",
            {n: c for n, c in ratios.items() if _any(c[0])},
        ),
        ("BN: batch mean off the running one<br>in its standard deviations", gaps),
    ]


def _ratios(weight: WeightLog, records: int) -> list[float]:
    return [weight.ratio(k) for k in range(records)]


def _any(values: list[float]) -> bool:
    return any(not math.isnan(v) for v in values)


def _shades(n: int) -> list[str]:
    """From the first layer, blue, to the last, orange."""
    ends = [[int(c[i : i + 2], 16) for i in (1, 3, 5)] for c in (theme.BN, theme.PLAIN)]
    parts = np.linspace(0, 1, n) if n > 1 else [0.0]
    mixed = [[round(a + (b - a) * t) for a, b in zip(*ends, strict=True)] for t in parts]
    return [f"rgb({r},{g},{b})" for r, g, b in mixed]


def _lines(sheet: _Sheet, log: Log, title: str, curves: Curves, below: str) -> None:
    share = title.startswith("share")
    y: dict[str, Any] = {"type": "log", "exponentformat": "power", "dtick": 1}
    if share:
        y = {"range": [-0.03, 1.03], "tickformat": ".0%", "nticks": 4}
    x = {"range": _extent(log), "title": {"text": below}}
    axes = sheet.axes((0, 1), sheet.row(_CURVES, _ABOVE + _TICKS), x, y)
    sheet.caption(axes, title)
    records = _columns(len(log))
    steps = _floats([log.steps[k] for k in records])
    for label, (values, colour) in curves.items():
        found = np.array([values[k] for k in records])
        sheet.draw(
            axes, type="scatter", mode="lines", name=label, x=steps,
            y=_floats(found if share else np.maximum(found, _LOWEST)),
            line={"color": colour, "width": 2, "dash": "dot" if "dead" in label else "solid"},
            hovertemplate="step %{x}: %{y:.3g}<extra>" + label + "</extra>",
        )  # fmt: skip
    if title.startswith("update"):  # 1e-3, of which practitioners speak, to compare with
        line = {"color": theme.NEUTRAL, "width": 1, "dash": "dash"}
        ends = _floats(_extent(log))
        sheet.draw(
            axes, type="scatter", mode="lines", x=ends, y=_floats([1e-3, 1e-3]), line=line,
            hoverinfo="skip",
        )  # fmt: skip


def _extent(log: Log) -> list[float]:
    return [log.steps[0] - 0.5, max(log.seen, log.steps[-1]) + 0.5]


def _floats(values: ArrayLike) -> Floats:
    """To three digits, so that machines that round differently draw the same; nan is a gap."""
    v = np.asarray(values, dtype=np.float64)
    digits = np.zeros_like(v)
    sized = np.isfinite(v) & (v != 0)
    digits[sized] = np.floor(np.log10(np.abs(v[sized]))) - 3
    unit = 10.0**digits
    return np.ascontiguousarray(np.round(v / unit) * unit, dtype=np.float32)


def _in_words(log: Log, shown: dict[str, LayerLog]) -> str:
    said = [
        f"{name}: mean {layer.columns['mean'][-1]:.3g}, std {layer.columns['std'][-1]:.3g}"
        for name, layer in shown.items()
    ]
    return f"After {log.seen} steps, what the layers see. " + "; ".join(said) + "."
