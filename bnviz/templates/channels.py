"""The template of `channels`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import (
    as_dict,
    centres,
    curve,
    heading,
    panel,
    place,
    sheet,
    suffix,
    time_axis,
)

__all__ = ["COLUMNS", "channels"]

COLUMNS = (
    ("plain", "without BN"),
    ("bn_raw", "into BN"),
    ("bn", "out of BN"),
)
_LOOKS = {
    "plain": (theme.PLAIN, theme.PLAIN_SCALE, (0.0, 0.31)),
    "bn_raw": (theme.NEUTRAL, theme.NEUTRAL_SCALE, (0.345, 0.655)),
    "bn": (theme.BN, theme.BN_SCALE, (0.69, 1.0)),
}
_ROWS = ((0.69, 1.0), (0.355, 0.665))  # layer 1, layer 2
_LOWEST = (0.0, 0.235)
_CURVES = (
    ("plain", "without BN", theme.PLAIN, "solid"),
    ("bn", "with BN", theme.BN, "dash"),
)


def channels(widths: tuple[int, int], low: float, high: float, bins: int) -> dict:
    """Two layers by three places, a heatmap with a row for each channel; loss and accuracy."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    k = 1
    for i, (width, rows) in enumerate(zip(widths, _ROWS, strict=True), start=1):
        for c, (name, _) in enumerate(COLUMNS):
            layout |= _axes(k, _LOOKS[name][2], rows, (low, high), width, i)
            layout[f"yaxis{suffix(k)}"] |= _channel_names(i) if c == 0 else {}
            _panel(fig, name, i, k, centres(low, high, bins), width)
            k += 1
    for name, title in COLUMNS:
        colour, _, (left, _) = _LOOKS[name]
        layout["annotations"].append(heading(title, left, 1.004, colour))
    for what, title, domain, more in (
        ("loss", "loss", (0.0, 0.47), {"range": [0, 3.2], "nticks": 4}),
        ("test", "test accuracy", (0.53, 1.0), {"range": [0, 1.02], "tickformat": ".0%"}),
    ):
        more["side"] = "left" if what == "loss" else "right"
        layout |= panel(k, domain, _LOWEST, time_axis(k, domain), more)
        _curves(fig, what, k)
        layout["annotations"].append(heading(title, domain[0], _LOWEST[1] + 0.006))
        k += 1
    fig.update_layout(layout | sheet(640, 44, 40, 28, 42))
    return as_dict(fig)


def _channel_names(layer: int) -> dict:
    return {"showticklabels": True, "title": {"text": f"layer {layer}, channel"}}


def _axes(k, domain, rows, span, width: int, layer: int) -> dict:
    values = {"range": list(span), "tickvals": [-5, 0, 5], "tickangle": 0, "zeroline": True}
    channels = {"range": [0.5, width + 0.5], "tickvals": list(range(1, width + 1))}
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False}
    return panel(k, domain, rows, values | {"showticklabels": layer == 2}, channels | bare)


def _panel(fig, name: str, layer: int, k: int, values, width: int) -> None:
    title = dict(COLUMNS)[name]
    rows = list(range(1, width + 1))
    fig.add_heatmap(
        x=values,
        y=rows,
        z=np.full((width, len(values)), -3.0),
        uid=f"{name}-{layer}",
        colorscale=_LOOKS[name][1],
        zmin=-2.2,
        zmax=0,
        showscale=False,
        name=f"layer {layer} {title}",
        hovertemplate="channel %{y}, value %{x:.1f}<extra></extra>",
        **place(k),
    )
    fig.add_scatter(
        x=np.zeros(width),
        y=rows,
        mode="lines+markers",
        uid=f"{name}-{layer}-means",
        line={"color": _LOOKS[name][0], "width": 1},
        marker={"color": _LOOKS[name][0], "size": 8, "line": {"color": "white", "width": 1}},
        name=f"means of layer {layer} {title}",
        hovertemplate="channel %{y}: mean %{x:.2f}<extra></extra>",
        **place(k),
    )


def _curves(fig, what: str, k: int) -> None:
    for uid, label, colour, dash in _CURVES:
        line = {"color": colour, "width": 2, "dash": dash}
        fig.add_scatter(**curve(f"{uid}-{what}", k, line, f"{what} {label}", label))
