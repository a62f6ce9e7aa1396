"""The template of `drift`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import (
    BARE,
    as_dict,
    centres,
    curve,
    heading,
    note,
    pale,
    panel,
    place,
    sheet,
    suffix,
    time_axis,
)

__all__ = ["drift"]

# network, label, colour, colour scale, span of its column
_COLUMNS = (
    ("plain", "without BN", theme.PLAIN, theme.PLAIN_SCALE, (0.0, 0.475)),
    ("bn", "with BN", theme.BN, theme.BN_SCALE, (0.525, 1.0)),
)
_LAYERS = (0.43, 1.0)  # spans of the rows: all layers, one unit's track, the curves
_TRACK = (0.235, 0.37)
_CURVES = (0.0, 0.18)
_GAP = 0.012
_OVER_TIME, _NOW, _SATURATED = (0.0, 0.67), (0.68, 0.86), (0.87, 1.0)  # parts of a column


def drift(depth: int, low: float, high: float, bins: int) -> dict:
    """Two columns (without BN, with BN): a row for each layer, one unit, then loss and accuracy."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    for c, column in enumerate(_COLUMNS):
        for i in range(depth):
            k = 2 * (c * depth + i) + 1  # axis numbers: heat k, now k + 1; both use y axis k
            _layer_row(fig, layout, column, i, depth, k, (low, high, bins))
        _saturation(fig, layout, column, depth, 4 * depth + 1 + c)
        _track(fig, layout, column, 4 * depth + 3 + c, (low, high))
        _curves(fig, layout, c, 4 * depth + 5 + c)
        left, right = column[4]
        layout["annotations"] += [
            heading(column[1], left, 1.003, column[2]),
            note("% sat.", right, 1.003, "right", "bottom") | {"font": {"size": 10}},
        ]
    fig.update_layout(layout | sheet(880, 36, 36, 26, 40))
    return as_dict(fig)


def _part(column: tuple, part: tuple[float, float]) -> list[float]:
    """The domain of a part of a column."""
    left, right = column[4]
    return [left + (right - left) * p for p in part]


def _values_axis(domain, anchor: str, span: tuple[float, float], show: bool) -> dict:
    return {
        "domain": list(domain),
        "anchor": anchor,
        "range": list(span),
        "tickvals": [-5, 0, 5],
        "showticklabels": show,
        "fixedrange": True,
        "showgrid": True,
        "zeroline": True,
    }


def _layer_row(fig, layout, column, i, depth, k, bins) -> None:
    """Where the pre-activations lay over training, and the density of where they lie now."""
    low, high, n = bins
    uid, label, colour, scale, (left, _) = column
    height = (_LAYERS[1] - _LAYERS[0] - _GAP * (depth - 1)) / depth
    top = _LAYERS[1] - i * (height + _GAP)
    values, shared = centres(low, high, n), f"y{suffix(k)}"
    fig.add_heatmap(
        x=[],
        y=values,
        z=[],
        uid=f"{uid}-{i + 1}-over-time",
        colorscale=scale,
        zmin=-2.2,
        zmax=0,
        showscale=False,
        name=f"layer {i + 1} {label}",
        hovertemplate="step %{x:.0f}, pre-activation %{y:.1f}<extra></extra>",
        **place(k),
    )
    fig.add_scatter(
        x=np.zeros(n),
        y=values,
        mode="lines",
        fill="tozerox",
        uid=f"{uid}-{i + 1}-now",
        line={"color": colour, "width": 1.5, "shape": "linear"},
        name=f"layer {i + 1} {label}, now",
        hovertemplate="pre-activation %{y:.1f}: density %{x:.2f}<extra></extra>",
        **(place(k + 1) | {"yaxis": shared}),
    )
    up, last = (top - height, top), i == depth - 1
    layout[f"yaxis{suffix(k)}"] = _values_axis(up, f"x{suffix(k)}", (low, high), left == 0)
    layout[f"xaxis{suffix(k)}"] = time_axis(k, _part(column, _OVER_TIME), show=last, title="")
    layout[f"xaxis{suffix(k + 1)}"] = _density_axis(_part(column, _NOW), shared)
    layout["annotations"].append(note(f"layer {i + 1}", left + 0.005, top, "left", "top"))


def _density_axis(domain, anchor: str) -> dict:
    return {
        "domain": domain,
        "anchor": anchor,
        "range": [0, 0.75],
        "showticklabels": False,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": True,
    }


def _saturation(fig, layout, column, depth, k) -> None:
    """One cell per layer: how much of it lies where the activation is flat, in per cent."""
    uid, label, _, scale, _ = column
    fig.add_heatmap(
        x=[0],
        y=list(range(1, depth + 1)),
        z=[[0.0]] * depth,
        uid=f"{uid}-saturated",
        colorscale=scale,
        zmin=0,
        zmax=160,
        showscale=False,
        texttemplate="%{z:.0f}",
        textfont={"size": 11},
        name=f"saturated {label}",
        hovertemplate="%{z:.1f} % saturated<extra></extra>",
        **place(k),
    )
    bare = {"showticklabels": False, **BARE}
    one, rows = {"range": [-0.5, 0.5]}, {"range": [0.5, depth + 0.5]}
    layout |= panel(k, _part(column, _SATURATED), _LAYERS, one | bare, rows | bare)


def _track(fig, layout, column, k, span) -> None:
    """Median and band of the chosen unit over training."""
    uid, label, colour, _, (left, right) = column
    for share, width, fill in ((15, 0.8, None), (85, 0.8, "tonexty"), (50, 2, None)):
        line, called = {"color": colour, "width": width}, f"{share}th percentile"
        trace = curve(f"{uid}-p{share}", k, line, f"{called} {label}", called)
        fig.add_scatter(**trace, fill=fill, fillcolor=pale(colour, 0.3))
    layout[f"xaxis{k}"] = time_axis(k, (left, right), show=False)
    layout[f"yaxis{k}"] = _values_axis(_TRACK, f"x{k}", span, left == 0)
    layout["annotations"].append(heading("one unit", left, _TRACK[1]))


def _curves(fig, layout, c, k) -> None:
    """Loss on the left, accuracy on the right, both networks in each."""
    kind, span = (("loss", [0, 3.2]), ("accuracy", [0, 1.02]))[c]
    left, right = _COLUMNS[c][4]
    for uid, label, colour, *_ in _COLUMNS:
        for what in ("train", "test") if c else ("loss",):
            width, dash = (1.2, "dot") if what == "train" else (2, "solid")
            line = {"color": colour, "width": width, "dash": dash}
            fig.add_scatter(**curve(f"{uid}-{what}", k, line, f"{what} {label}"))
    layout[f"xaxis{k}"] = time_axis(k, (left, right))
    layout[f"yaxis{k}"] = {
        "domain": list(_CURVES),
        "anchor": f"x{k}",
        "range": span,
        "fixedrange": True,
        "nticks": 4,
        "side": "right" if c else "left",
        **({"tickformat": ".0%", "tickvals": [0, 0.5, 1]} if c else {}),
    }
    layout["annotations"].append(heading(kind, left, _CURVES[1]))
