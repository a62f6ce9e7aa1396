"""The template of `learning-rate`, and the stored sweep that it stands on."""

from typing import Any

import numpy as np
import plotly.graph_objects as go

from bnviz.experiments import load
from bnviz.figure import theme
from bnviz.templates.parts import as_dict, curve, note, pale, panel, place, sheet

__all__ = ["learning_rate"]

_NETS = (("plain", "without BN", theme.PLAIN), ("bn", "with BN", theme.BN))
_SPLIT = 0.47  # top of the lower panel, along the paper
_SHOWN = "tanh"  # the activation whose stored curves are drawn first


def learning_rate() -> dict:
    """Loss and test accuracy while training; accuracy against the rate in the stored runs."""
    sweep = load("learning-rate")["summary"]
    fig = go.Figure()
    for activation in ("sigmoid", "tanh", "relu"):
        for uid, label, colour in _NETS:
            _stored(fig, sweep, activation, uid, label, colour)
    fig.add_scatter(
        x=[0.0, 0.0], y=[0, 1.02], mode="lines", uid="here", **place(3),
        line={"color": theme.NEUTRAL, "width": 1, "dash": "dot"}, hoverinfo="skip",
    )  # fmt: skip
    for uid, label, colour in _NETS:
        _now(fig, uid, label, colour)
    fig.update_layout(**sheet(580, 44, 16, 46, 44), **_axes())
    for text, x, y in (
        ("<b>loss</b> (log scale)", 0, 1),
        ("<b>test accuracy</b>", 0.54, 1),
        ("<b>stored runs</b>: accuracy after 300 steps", 0, _SPLIT - 0.045),
    ):
        fig.add_annotation(note(text, x, y + 0.006, "left", "bottom"))
    for (uid, label, colour), x in zip(_NETS, (0, 0.54), strict=True):
        mark = "◆" if uid == "plain" else "●"
        words = note(f"{mark} <b>{label}</b>", x, 1.006, "left", "bottom", colour)
        fig.add_annotation(words | {"yshift": 20})
    return as_dict(fig)


def _axes() -> dict[str, Any]:
    time = {"range": [0, 300], "nticks": 4, "showgrid": False, "tickangle": 0}
    time["title"] = {"text": "training step"}
    loss = {
        "type": "log",
        "range": [-2, 3],
        "tickvals": [0.01, 0.1, 1, 10, 100, 1000],
        "ticktext": ["0.01", "0.1", "1", "10", "100", "1000"],
    }
    rate = {
        "range": [-3.05, 2.05],
        "zeroline": False,
        "tickvals": [-3, -2, -1, 0, 1, 2],
        "tickangle": 0,
        "ticktext": ["0.001", "0.01", "0.1", "1", "10", "100"],
        "title": {"text": "learning rate (log scale)"},
    }
    share = {"range": [0, 1.02], "tickformat": ".0%", "tickvals": [0, 0.5, 1]}
    upper = [_SPLIT + 0.11, 1]
    return {
        **panel(1, [0, 0.46], upper, time, loss),
        **panel(2, [0.54, 1], upper, time, share),
        **panel(3, [0, 1], [0, _SPLIT - 0.05], rate, share),
    }


def _stored(fig, sweep, activation, uid, label, colour) -> None:
    """A band from the worst seed to the best, and the median."""
    rates = np.log10(sweep["rates"]).round(4)
    curves = sweep["curves"][f"{activation}-{uid}"]
    for edge in ("min", "max", "median"):
        middle = edge == "median"
        fig.add_scatter(
            x=rates if activation == _SHOWN else rates + 100,
            y=curves[edge],
            mode="lines",
            uid=f"{activation}-{uid}-{edge}",
            **place(3),
            fill="tonexty" if edge == "max" else "none",
            fillcolor=pale(colour, 0.16),
            line={
                "color": colour,
                "width": 1.8 if middle else 0,
                "dash": "dash" if uid == "plain" else "solid",
            },
            name=f"{label}, {activation}",
            hovertemplate=f"%{{y:.1%}}<extra>{label}</extra>" if middle else None,
            hoverinfo=None if middle else "skip",
        )


def _now(fig, uid, label, colour) -> None:
    dash = "dash" if uid == "plain" else "solid"
    for what, k, shown in (("loss", 1, ".2f"), ("test", 2, ".1%")):
        line = {"color": colour, "width": 1.6, "dash": dash if what == "test" else "solid"}
        fig.add_scatter(**curve(f"{uid}-{what}", k, line, f"{what} {label}", label, shown))
    fig.add_scatter(
        x=[0.0], y=[None], mode="markers", uid=f"{uid}-now", **place(3),
        marker={"color": colour, "size": 13, "symbol": "diamond" if uid == "plain" else "circle",
                "line": {"color": "white", "width": 1.5}},
        name=f"{label}, now", hovertemplate=f"now: %{{y:.1%}}<extra>{label}</extra>",
    )  # fmt: skip
