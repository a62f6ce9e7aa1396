"""The template of `loss-surface`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, curve, heading, note, panel, place, sheet

__all__ = ["loss_surface"]

_COLUMNS = (
    ("plain", "without BN", theme.PLAIN, (0.0, 0.47), (1, 3)),
    ("bn", "with BN", theme.BN, (0.53, 1.0), (2, 4)),
)
_DASHES = (("sgd", "SGD", "solid"), ("momentum", "momentum", "dash"), ("adam", "Adam", "dot"))
_UP, _DOWN = (0.42, 0.97), (0.0, 0.27)


def loss_surface(n: int) -> dict:
    """Two slices side by side on one colour scale, the losses of all runs below them."""
    fig = go.Figure()
    unit = np.round(np.linspace(-1, 1, n), 6)
    plane = {"range": [-1.05, 1.05], "showticklabels": False, **BARE}
    time = {"range": [0, 240], "nticks": 4, "title": {"text": "training step"}}
    layout: dict = {}
    for uid, label, colour, across, (top, bottom) in _COLUMNS:
        _slice(fig, uid, label, unit, top)
        _marks(fig, uid, label, colour, top)
        for name, optimiser, dash in _DASHES:
            line = {"color": colour, "width": 1.8, "dash": dash}
            fig.add_scatter(**curve(f"{uid}-{name}", bottom, line, f"{optimiser} {label}"))
        losses = {"range": [0, 3.2], "nticks": 4, "showticklabels": uid == "plain"}
        layout |= panel(top, across, _UP, plane, plane)
        layout |= panel(bottom, across, _DOWN, time, losses)
    left, right = (heading(label, x[0], _UP[1], colour) for _, label, colour, x, _ in _COLUMNS)
    notes = [
        left,
        note("<b>loss</b>: — SGD, - - momentum, ··· Adam", 0.0, _DOWN[1], "left", "bottom"),
        right,
        note("● start, ■ and ◆ two optimisers; dots: plateau", 0.0, _UP[0], "left", "top"),
        note("loss: green low, purple high, no colour 2.3", 0.0, _UP[0] - 0.04, "left", "top"),
    ]
    fig.update_layout(layout, annotations=notes, **sheet(600, 30, 10, 16, 44))
    return as_dict(fig)


def _slice(fig, uid: str, label: str, unit: np.ndarray, k: int) -> None:
    """The loss as colours, and a dot wherever it is a plateau."""
    n = len(unit)
    fig.add_heatmap(
        x=unit,
        y=unit,
        z=np.zeros((n, n)),
        uid=f"{uid}-surface",
        name=label,
        colorscale=_reversed(theme.SIGNED_SCALE),
        zmin=-1,
        zmax=1,
        showscale=False,
        hovertemplate="loss 2.3 × 10^%{z:.2f}<extra></extra>",
        **place(k),
    )
    fig.add_scatter(
        x=np.tile(unit[1:-1], n - 2),
        y=[None] * (n - 2) ** 2,
        mode="markers",
        uid=f"{uid}-flat",
        name=f"plateau {label}",
        marker={"size": 3, "color": theme.NEUTRAL},
        hoverinfo="skip",
        **place(k),
    )


def _marks(fig, uid: str, label: str, colour: str, k: int) -> None:
    """Where training began, and where the two optimisers are that span the plane."""
    symbols = ["square", "circle", "diamond"]
    fig.add_scatter(
        x=[0.5, -0.5, -0.5],
        y=[-0.5, -0.5, 0.5],
        mode="lines+markers",
        uid=f"{uid}-marks",
        name=f"start and ends {label}",
        line={"color": colour, "width": 1.5},
        marker={"size": [11, 11, 12], "color": colour, "opacity": 1, "symbol": symbols},
        hovertemplate="%{text}<extra></extra>",
        text=["along x", "start", "along y"],
        **place(k),
    )


def _reversed(scale: list[list]) -> list[list]:
    """Low values take the colour of high ones, and the other way round."""
    return [[1 - at, colour] for at, colour in reversed(scale)]
