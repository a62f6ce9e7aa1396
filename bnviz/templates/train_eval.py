"""The template of `train-eval`."""

import math

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, heading, note, panel, place, sheet

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
        colorscale=[[0, "rgba(128,136,144,0.08)"], [1, "rgba(128,136,144,1)"]],
        showscale=False,
        hoverinfo="skip",
        **place(2),
    )
    for k, (way, (label, colour, _, symbol, size)) in enumerate(_WAYS.items()):
        fig.add_scatter(
            x=[i + 0.26 * (k - 1) for i in range(_CLASSES)],  # side by side
            y=[0] * _CLASSES,
            mode="markers",
            uid=f"{way}-logits",
            name=label,
            marker={"color": colour, "symbol": symbol, "size": size},
            hovertemplate=f"class %{{x:.0f}}: %{{y:.1f}}<extra>{label}</extra>",
            **place(3),
        )


def _statistics(fig: go.Figure, units: int, off: float, ratio: float) -> None:
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
            **place(4),
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
            **place(4),
        )


def _layout(top: float, off: float, ratio: float) -> dict:
    time = {"range": [0, 60], "nticks": 5, "showgrid": False, "title": {"text": "training step"}}
    classes = {"range": [-0.6, _CLASSES - 0.4], "dtick": 1, "title": {"text": "class"}}
    pixels = {"range": [-0.5, 7.5], "showticklabels": False, "showgrid": False, "ticks": ""}
    pixels |= {"constrain": "domain", "zeroline": False}
    square = {**pixels, "scaleanchor": "x2"}
    means = {"range": [-1.03 * off, 1.03 * off], "nticks": 5}
    times = {
        "type": "log",
        "range": [-1.03 * math.log10(ratio), 1.03 * math.log10(ratio)],
        "tickvals": [0.25, 0.5, 1, 2, 4],
        "ticktext": ["1/4", "1/2", "1", "2", "4"],
    }
    plain = {"zeroline": False}
    words = {"text": "mean: off by (population std)"}
    loss = {"range": [0, top], "title": {"text": "loss"}}
    return {
        "xaxis": {"anchor": "y", "fixedrange": True, **time, **plain},
        "yaxis": {"domain": list(_LOSS), "fixedrange": True, **loss, **plain},
        **panel(2, [0, 0.24], _PROBE, pixels, square),
        **panel(3, [0.31, 1], _PROBE, classes | plain, {"range": [-8, 10]} | plain),
        **panel(4, None, _STATISTICS, means | plain | {"title": words}, times | plain),
        **sheet(780, 40, 12, 26, 46),
        "annotations": _notes(),
    }


def _notes() -> list[dict]:
    return [
        heading("✕ batch", 0.0, _LOSS[1], theme.NEUTRAL),
        heading("● running", 0.29, _LOSS[1], theme.BN),
        note("<b>◆ population</b>", 1.0, _LOSS[1], "right", "bottom", theme.THIRD),
        heading("the image", 0, _PROBE[1]),
        heading("its ten outputs", 0.31, _PROBE[1]),
        heading("std: times population std", 0, _STATISTICS[1]),
    ]
