"""The template of `drift`."""

import numpy as np
import plotly.graph_objects as go

from bnviz import theme
from bnviz.figures.parts import as_dict, centres, note

__all__ = ["drift"]


def drift(depth: int, low: float, high: float, bins: int) -> dict:
    """Two columns (without BN, with BN): a row for each layer, then loss and accuracy."""
    fig = go.Figure()
    columns = (
        ("plain", "without BN", theme.PLAIN, theme.PLAIN_SCALE, (0.0, 0.475)),
        ("bn", "with BN", theme.BN, theme.BN_SCALE, (0.525, 1.0)),
    )
    layers_bottom, gap = 0.335, 0.012
    height = (1 - layers_bottom - gap * (depth - 1)) / depth
    layout: dict = {"annotations": []}
    for c, (uid, label, colour, scale, (left, right)) in enumerate(columns):
        split = left + (right - left) * 0.8
        for i in range(depth):
            top = 1 - i * (height + gap)
            k = 2 * (c * depth + i) + 1  # axis numbers: heat k, now k + 1; both use y axis k
            heat, now = _suffix(k), _suffix(k + 1)
            _layer_row(fig, uid, i + 1, label, colour, scale, heat, now, (low, high, bins))
            layout[f"yaxis{heat}"] = {
                "domain": [top - height, top],
                "anchor": f"x{heat}",
                "range": [low, high],
                "tickvals": [-5, 0, 5],
                "showticklabels": c == 0,
                "fixedrange": True,
                "showgrid": True,
                "zeroline": True,
            }
            layout["annotations"].append(note(f"layer {i + 1}", left + 0.005, top, "left", "top"))
            layout[f"xaxis{heat}"] = _time_axis([left, split], f"y{heat}", show=i == depth - 1)
            layout[f"xaxis{now}"] = {
                "domain": [split + 0.006, right],
                "anchor": f"y{heat}",
                "range": [0, 0.75],
                "showticklabels": False,
                "fixedrange": True,
                "showgrid": False,
                "zeroline": True,
            }
    k = 4 * depth + 1
    for c, (kind, title, span) in enumerate(
        (
            ("loss", "<b>loss</b>", [0, 3.2]),
            ("accuracy", "<b>accuracy</b>", [0, 1.02]),
        )
    ):
        axis, (left, right) = _suffix(k + c), columns[c][4]
        layout[f"xaxis{axis}"] = _time_axis([left + 0.0, right], f"y{axis}", show=True)
        layout[f"xaxis{axis}"]["title"] = {"text": "training step"}
        layout[f"yaxis{axis}"] = {
            "domain": [0, layers_bottom - 0.12],
            "anchor": f"x{axis}",
            "range": span,
            "fixedrange": True,
            "nticks": 4,
            "side": "left" if c == 0 else "right",
            **({"tickformat": ".0%", "tickvals": [0, 0.5, 1]} if c else {}),
        }
        _curves(fig, kind, columns, axis)
        layout["annotations"].append(note(title, left, layers_bottom - 0.112, "left", "bottom"))
    for _, label, colour, _, (left, _) in columns:
        layout["annotations"].append(note(f"<b>{label}</b>", left, 1.004, "left", "bottom", colour))
    layout |= {
        "height": 760,
        "margin": {"l": 40, "r": 40, "t": 28, "b": 40},
        "showlegend": False,
    }
    fig.update_layout(layout)
    return as_dict(fig)


def _suffix(k: int) -> str:
    """Axis 1 is called x, axis 2 x2, ..."""
    return "" if k == 1 else str(k)


def _time_axis(domain: list[float], anchor: str, show: bool) -> dict:
    return {
        "domain": domain,
        "anchor": anchor,
        "range": [0, 240],
        "showticklabels": show,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "nticks": 4,
        "tickangle": 0,
        "ticks": "outside" if show else "",
    }


def _layer_row(fig, uid, layer, label, colour, scale, heat, now, bins) -> None:
    low, high, n = bins
    values = centres(low, high, n)
    fig.add_heatmap(
        x=[],
        y=values,
        z=[],
        uid=f"{uid}-{layer}-over-time",
        xaxis=f"x{heat}",
        yaxis=f"y{heat}",
        colorscale=scale,
        zmin=-2.2,
        zmax=0,
        showscale=False,
        name=f"layer {layer} {label}",
        hovertemplate="step %{x:.0f}, pre-activation %{y:.1f}<extra></extra>",
    )
    fig.add_scatter(
        x=np.zeros(n),
        y=values,
        mode="lines",
        fill="tozerox",
        uid=f"{uid}-{layer}-now",
        xaxis=f"x{now}",
        yaxis=f"y{heat}",
        line={"color": colour, "width": 1.5, "shape": "linear"},
        name=f"layer {layer} {label}, now",
        hovertemplate="pre-activation %{y:.1f}: density %{x:.2f}<extra></extra>",
    )


def _curves(fig, kind, columns, axis) -> None:
    shown = ("loss",) if kind == "loss" else ("train", "test")
    for uid, label, colour, *_ in columns:
        for what in shown:
            fig.add_scatter(
                x=[],
                y=[],
                mode="lines",
                uid=f"{uid}-{what}",
                name=f"{what} {label}",
                xaxis=f"x{axis}",
                yaxis=f"y{axis}",
                line={
                    "color": colour,
                    "width": 1.2 if what == "train" else 2,
                    "dash": "dot" if what == "train" else "solid",
                },
                hovertemplate=f"step %{{x:.0f}}: %{{y:.2f}}<extra>{what} {label}</extra>",
            )
