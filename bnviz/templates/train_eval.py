"""The template of `train-eval`."""

import math

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, note

__all__ = ["train_eval"]

# way -> label, colour, dash, symbol, size
_WAYS = {
    "batch": ("batch", theme.NEUTRAL, "solid", "x", 7),
    "running": ("running", theme.BN, "solid", "circle", 8),
    "population": ("population", theme.THIRD, "dash", "diamond", 8),
}
_CLASSES = 10
_LOSS, _PROBE, _STATISTICS = (0.7, 0.98), (0.395, 0.575), (0.0, 0.265)


def train_eval(image: list[list[float]], units: int, ends: tuple[float, float, float]) -> dict:
    """Losses over time; the probe with its outputs; how far the statistics of the units are off."""
    top, off, ratio = ends
    fig = go.Figure()
    _losses(fig)
    _probe(fig, image)
    _statistics(fig, units, off, ratio)
    fig.update_layout(_layout(top, off, ratio))
    return as_dict(fig)


def _losses(fig: go.Figure) -> None:
    shown = {"batch": "train", "running": "running", "population": "population"}
    for way, uid in shown.items():
        label, colour, dash, *_ = _WAYS[way]
        line = {"color": colour, "width": 1.5 if way == "batch" else 2.2, "dash": dash}
        fig.add_scatter(**curve(f"{uid}-loss", 1, line, label))


def _probe(fig: go.Figure, image: list[list[float]]) -> None:
    fig.add_heatmap(
        z=image[::-1],
        x=list(range(8)),
        y=list(range(8)),
        uid="probe",
        xaxis="x2",
        yaxis="y2",
        colorscale=[[0, "rgba(128,136,144,0.08)"], [1, "rgba(128,136,144,1)"]],
        showscale=False,
        hoverinfo="skip",
    )
    for k, (way, (label, colour, _, symbol, size)) in enumerate(_WAYS.items()):
        fig.add_scatter(
            x=[i + 0.26 * (k - 1) for i in range(_CLASSES)],  # side by side
            y=[0] * _CLASSES,
            mode="markers",
            uid=f"{way}-logits",
            name=label,
            xaxis="x3",
            yaxis="y3",
            marker={"color": colour, "symbol": symbol, "size": size},
            hovertemplate=f"class %{{x:.0f}}: %{{y:.1f}}<extra>{label}</extra>",
        )


def _statistics(fig: go.Figure, units: int, off: float, ratio: float) -> None:
    axes = {"xaxis": "x4", "yaxis": "y4"}
    for uid, x, y in (
        ("right-mean", [0, 0], [1 / ratio, ratio]),
        ("right-std", [-off, off], [1, 1]),
    ):
        fig.add_scatter(
            x=x,
            y=y,
            mode="lines",
            uid=uid,
            line={"color": theme.THIRD, "width": 1.5, "dash": "dash"},
            hoverinfo="skip",
            **axes,
        )
    for way in ("batch", "running"):
        label, colour, _, symbol, size = _WAYS[way]
        fig.add_scatter(
            x=np.zeros(units),
            y=np.ones(units),
            mode="markers",
            uid=f"{way}-units",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": size * 0.8, "opacity": 0.75},
            hovertemplate=f"mean off by %{{x:.2f}}, std %{{y:.2f}} times<extra>{label}</extra>",
            **axes,
        )


def _layout(top: float, off: float, ratio: float) -> dict:
    fixed = {"fixedrange": True, "zeroline": False}
    time = {"range": [0, 60], "nticks": 5, "showgrid": False, "title": {"text": "training step"}}
    layout: dict = {
        "xaxis": {**time, **fixed, "anchor": "y"},
        "yaxis": {"range": [0, top], "domain": list(_LOSS), "title": {"text": "loss"}, **fixed},
        "xaxis2": {"range": [-0.5, 7.5], "domain": [0, 0.24], "anchor": "y2", **fixed},
        "yaxis2": {"range": [-0.5, 7.5], "domain": list(_PROBE), "anchor": "x2", **fixed},
        "xaxis3": {
            "range": [-0.6, _CLASSES - 0.4],
            "domain": [0.31, 1],
            "anchor": "y3",
            "dtick": 1,
            "title": {"text": "class"},
            **fixed,
        },
        "yaxis3": {"range": [-8, 10], "domain": list(_PROBE), "anchor": "x3", **fixed},
        "xaxis4": {
            "range": [-1.03 * off, 1.03 * off],
            "anchor": "y4",
            "nticks": 5,
            "title": {"text": "mean: off by (population std)"},
            **fixed,
        },
        "yaxis4": {
            "type": "log",
            "range": [-1.03 * math.log10(ratio), 1.03 * math.log10(ratio)],
            "tickvals": [0.25, 0.5, 1, 2, 4],
            "ticktext": ["1/4", "1/2", "1", "2", "4"],
            "domain": list(_STATISTICS),
            "anchor": "x4",
            **fixed,
        },
        "annotations": _notes(),
        "height": 780,
        "margin": {"l": 40, "r": 12, "t": 26, "b": 46},
        "showlegend": False,
    }
    for letter in "xy":
        bare = {"showticklabels": False, "showgrid": False, "ticks": "", "constrain": "domain"}
        layout[f"{letter}axis2"] |= bare
    layout["yaxis2"]["scaleanchor"] = "x2"  # square pixels
    return layout


def _notes() -> list[dict]:
    labels = (
        ("<b>✕ batch</b>", 0.0, "left", theme.NEUTRAL),
        ("<b>● running</b>", 0.29, "left", theme.BN),
        ("<b>◆ population</b>", 1.0, "right", theme.THIRD),
    )
    notes = [
        note(text, x, _LOSS[1], anchor, "bottom", colour) for text, x, anchor, colour in labels
    ]
    headings = (
        ("the image", 0, _PROBE[1]),
        ("its ten outputs", 0.31, _PROBE[1]),
        ("std: times population std", 0, _STATISTICS[1]),
    )
    return notes + [note(f"<b>{text}</b>", x, y, "left", "bottom") for text, x, y in headings]
