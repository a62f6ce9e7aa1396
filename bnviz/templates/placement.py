"""The template of `placement`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import (
    as_dict,
    centres,
    curve,
    heading,
    note,
    panel,
    place,
    sheet,
    time_axis,
)

__all__ = ["NETS", "placement"]

# uid, label, colour, dash, symbol: the same in every figure that compares the three
NETS = (
    ("plain", "without BN", theme.PLAIN, "solid", "circle"),
    ("before", "BN before", theme.BN, "dash", "square"),
    ("after", "BN after", theme.SECOND, "dot", "diamond"),
)
_COLUMNS = (("in", "into the activation", (0.0, 0.485)), ("out", "out of the layer", (0.515, 1)))
_LAYERS_BOTTOM, _GAP, _LAYER_GAP = 0.345, 0.004, 0.03
_BELOW = (0, _LAYERS_BOTTOM - 0.095)
_HIGHEST = 0.8  # of a density; the peak of a normal distribution of std 1 is 0.4


def placement(depth: int, spans: dict[str, tuple[float, float]], bins: int) -> dict:
    """A row for each layer and network, two columns; then loss, and the flat share by layer."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    k = 1
    for i in range(depth):
        for n, net in enumerate(NETS):
            for side, _, domain in _COLUMNS:
                last = i == depth - 1 and n == len(NETS) - 1
                layout |= _row_axes(k, domain, _row(depth, i, n), spans[side], show=last)
                _ridge(fig, net, side, i + 1, centres(*spans[side], bins), k)
                k += 1
            _label(layout, net, _row(depth, i, n))
        top = _row(depth, i, 0)[1]
        layout["annotations"].append(note(f"<b>layer {i + 1}</b>", 0.47, top, "right", "top"))
    for _, title, (left, _) in _COLUMNS:
        layout["annotations"].append(heading(title, left, 1.004))
    _loss(fig, layout, k)
    _flat(fig, layout, k + 1, depth)
    fig.update_layout(layout | sheet(720, 34, 34, 28, 42))
    return as_dict(fig)


def _row(depth: int, layer: int, net: int) -> tuple[float, float]:
    """Bottom and top of a row; layer 1 is on top."""
    block = (1 - _LAYERS_BOTTOM - (depth - 1) * _LAYER_GAP) / depth
    height = (block - 2 * _GAP) / 3
    top = 1 - layer * (block + _LAYER_GAP) - net * (height + _GAP)
    return top - height, top


def _row_axes(k: int, domain, rows, span, show: bool) -> dict:
    values = {"range": list(span), "tickvals": [-4, -2, 0, 2, 4], "showticklabels": show}
    heights = {"range": [0, _HIGHEST], "showticklabels": False, "showgrid": False}
    lines = {"showgrid": True, "zeroline": True}
    return panel(k, domain, rows, values | lines, heights | {"zeroline": True})


def _ridge(fig, net, side: str, layer: int, values, k: int) -> None:
    uid, label, colour, *_ = net
    what = "into the activation" if side == "in" else "out"
    fig.add_scatter(
        x=values,
        y=np.zeros(len(values)),
        mode="lines",
        fill="tozeroy",
        uid=f"{uid}-{side}-{layer}",
        **place(k),
        line={"color": colour, "width": 1.5},
        name=f"layer {layer} {label}, {what}",
        hovertemplate="value %{x:.1f}: density %{y:.2f}<extra></extra>",
    )


def _label(layout: dict, net, rows) -> None:
    _, label, colour, *_ = net
    words = note(label, 0.015, rows[1], "left", "top", colour)
    words["font"]["size"] = 11
    layout["annotations"].append(words)


def _loss(fig, layout: dict, k: int) -> None:
    layout |= panel(k, None, _BELOW, time_axis(k, (0, 0.485)), {"range": [0, 3.2], "nticks": 4})
    for uid, label, colour, dash, _ in NETS:
        line = {"color": colour, "width": 2, "dash": dash}
        fig.add_scatter(**curve(f"{uid}-loss", k, line, f"loss {label}", label))
    layout["annotations"].append(_title("loss", 0))


def _flat(fig, layout: dict, k: int, depth: int) -> None:
    layers = list(range(1, depth + 1))
    words = {"tickvals": layers, "ticktext": [f"layer {i}" for i in layers], "tickangle": 0}
    x = {"range": [0.6, depth + 0.4], "showgrid": False, "zeroline": False, **words}
    y = {"range": [-0.03, 1.03], "tickvals": [0, 0.5, 1], "tickformat": ".0%", "side": "right"}
    layout |= panel(k, [0.515, 1], _BELOW, x, y)
    for uid, label, colour, dash, symbol in NETS:
        fig.add_scatter(
            x=layers,
            y=[0.0] * depth,
            mode="lines+markers",
            uid=f"{uid}-saturated",
            name=f"flat {label}",
            **place(k),
            line={"color": colour, "width": 1.5, "dash": dash},
            marker={"color": colour, "size": 9, "symbol": symbol},
            hovertemplate=f"layer %{{x}}: %{{y:.0%}}<extra>{label}</extra>",
        )
    layout["annotations"].append(_title("share on the flat part", 0.515))


def _title(text: str, left: float) -> dict:
    return heading(text, left, _LAYERS_BOTTOM - 0.088)
