"""The template of `placement`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, curve, note, suffix, time_axis

__all__ = ["NETS", "placement"]

# uid, label, colour, dash, symbol: the same in every figure that compares the three
NETS = (
    ("plain", "without BN", theme.PLAIN, "solid", "circle"),
    ("before", "BN before", theme.BN, "dash", "square"),
    ("after", "BN after", theme.SECOND, "dot", "diamond"),
)
_COLUMNS = (("in", "enters the activation", (0.0, 0.485)), ("out", "leaves the layer", (0.515, 1)))
_LAYERS_BOTTOM, _GAP, _LAYER_GAP = 0.345, 0.004, 0.03
_HIGHEST = 0.8  # of a density; the peak of a normal distribution of std 1 is 0.4


def placement(depth: int, spans: dict[str, tuple[float, float]], bins: int) -> dict:
    """A row for each layer and network, two columns; then loss, and the flat share by layer."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    k = 1
    for i in range(depth):
        for n, net in enumerate(NETS):
            for place, _, domain in _COLUMNS:
                last = i == depth - 1 and n == len(NETS) - 1
                layout |= _row_axes(k, domain, _row(depth, i, n), spans[place], show=last)
                _ridge(fig, net, place, i + 1, centres(*spans[place], bins), k)
                k += 1
            _label(layout, net, _row(depth, i, n))
        top = _row(depth, i, 0)[1]
        layout["annotations"].append(note(f"<b>layer {i + 1}</b>", 0.47, top, "right", "top"))
    for _, title, (left, _) in _COLUMNS:
        layout["annotations"].append(note(f"<b>{title}</b>", left, 1.004, "left", "bottom"))
    _loss(fig, layout, k)
    _flat(fig, layout, k + 1, depth)
    layout |= {
        "height": 720,
        "margin": {"l": 34, "r": 34, "t": 28, "b": 42},
        "showlegend": False,
    }
    fig.update_layout(layout)
    return as_dict(fig)


def _row(depth: int, layer: int, net: int) -> tuple[float, float]:
    """Bottom and top of a row; layer 1 is on top."""
    block = (1 - _LAYERS_BOTTOM - (depth - 1) * _LAYER_GAP) / depth
    height = (block - 2 * _GAP) / 3
    top = 1 - layer * (block + _LAYER_GAP) - net * (height + _GAP)
    return top - height, top


def _row_axes(k: int, domain, rows, span, show: bool) -> dict:
    return {
        f"xaxis{suffix(k)}": {
            "domain": list(domain),
            "anchor": f"y{suffix(k)}",
            "range": list(span),
            "tickvals": [-4, -2, 0, 2, 4],
            "showticklabels": show,
            "fixedrange": True,
            "showgrid": True,
            "zeroline": True,
        },
        f"yaxis{suffix(k)}": {
            "domain": list(rows),
            "anchor": f"x{suffix(k)}",
            "range": [0, _HIGHEST],
            "showticklabels": False,
            "fixedrange": True,
            "showgrid": False,
            "zeroline": True,
        },
    }


def _ridge(fig, net, place: str, layer: int, values, k: int) -> None:
    uid, label, colour, *_ = net
    what = "into the activation" if place == "in" else "out"
    fig.add_scatter(
        x=values,
        y=np.zeros(len(values)),
        mode="lines",
        fill="tozeroy",
        uid=f"{uid}-{place}-{layer}",
        xaxis=f"x{suffix(k)}",
        yaxis=f"y{suffix(k)}",
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
    layout[f"xaxis{k}"] = time_axis(k, (0, 0.485))
    layout[f"yaxis{k}"] = _below(k, {"range": [0, 3.2], "nticks": 4})
    for uid, label, colour, dash, _ in NETS:
        line = {"color": colour, "width": 2, "dash": dash}
        fig.add_scatter(**curve(f"{uid}-loss", k, line, f"loss {label}", label))
    layout["annotations"].append(_title("loss", 0))


def _flat(fig, layout: dict, k: int, depth: int) -> None:
    layers = list(range(1, depth + 1))
    layout[f"xaxis{k}"] = {
        "domain": [0.515, 1],
        "anchor": f"y{k}",
        "range": [0.6, depth + 0.4],
        "tickvals": layers,
        "ticktext": [f"layer {i}" for i in layers],
        "tickangle": 0,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
    }
    shares = {"range": [-0.03, 1.03], "tickvals": [0, 0.5, 1], "tickformat": ".0%"}
    layout[f"yaxis{k}"] = _below(k, shares | {"side": "right"})
    for uid, label, colour, dash, symbol in NETS:
        fig.add_scatter(
            x=layers,
            y=[0.0] * depth,
            mode="lines+markers",
            uid=f"{uid}-saturated",
            name=f"flat {label}",
            xaxis=f"x{k}",
            yaxis=f"y{k}",
            line={"color": colour, "width": 1.5, "dash": dash},
            marker={"color": colour, "size": 9, "symbol": symbol},
            hovertemplate=f"layer %{{x}}: %{{y:.0%}}<extra>{label}</extra>",
        )
    layout["annotations"].append(_title("share on the flat part", 0.515))


def _below(k: int, more: dict) -> dict:
    return {"domain": [0, _LAYERS_BOTTOM - 0.095], "anchor": f"x{k}", "fixedrange": True} | more


def _title(text: str, left: float) -> dict:
    return note(f"<b>{text}</b>", left, _LAYERS_BOTTOM - 0.088, "left", "bottom")
