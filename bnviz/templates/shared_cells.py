"""The template of `shared-cells`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import BARE, as_dict, heading, note, panel, place, sheet

__all__ = ["KINDS", "SIDE", "SIZE", "shared_cells"]

KINDS = ("batch (BN)", "layer", "group", "instance")
SIZE, SIDE = 4, 2  # examples and channels; side of a block of positions
_LOOKS = (
    (theme.BN, "solid"),
    (theme.SECOND, "dash"),
    (theme.THIRD, "dashdot"),
    (theme.NEUTRAL, "dot"),
)
_ABOVE, _BELOW = (0.43, 1.0), (0.0, 0.31)


def shared_cells() -> dict:
    """The values in blocks, examples by channels; below, one output against a change."""
    fig = go.Figure()
    step = SIDE + 1
    length = SIZE * step - 1
    _cells(fig, length)
    _curves(fig)
    middles = [k * step + (SIDE - 1) / 2 for k in range(SIZE)]
    channels = {
        "side": "top",
        "range": [-0.7, length - 0.3],
        "tickvals": middles,
        "ticktext": [str(k + 1) for k in range(SIZE)],
        "title": {"text": "channel"},
        "tickangle": 0,
        **BARE,
    }
    examples = {
        "range": [-0.7, length - 0.3],
        "tickvals": middles,
        "ticktext": [str(SIZE - k) for k in range(SIZE)],
        "title": {"text": "example"},
        "tickangle": 0,
        **BARE,
    }
    change = {"range": [-6, 6], "dtick": 3, "title": {"text": "change"}, "tickangle": 0}
    output = {"range": [-3.2, 3.2], "tickvals": [-2, 0, 2]}
    marks = [
        note(
            f"<b>{label.split()[0]}</b>",
            0.01 + 0.25 * k,
            _BELOW[1] + 0.006,
            "left",
            "bottom",
            colour,
        )
        for k, (label, (colour, _)) in enumerate(zip(KINDS, _LOOKS, strict=True))
    ]
    for words in marks:
        words["font"]["size"] = 12
    fig.update_layout(
        annotations=[heading("output of the chosen cell", 0, _BELOW[1] + 0.042), *marks],
        **panel(1, [0, 1], _ABOVE, channels, examples),
        **panel(2, [0, 1], _BELOW, change, output),
        **sheet(640, 44, 10, 44, 42),
    )
    return as_dict(fig)


def _cells(fig: go.Figure, length: int) -> None:
    at = {"x": np.arange(length), "y": np.arange(length), "z": np.zeros((length, length))}
    look = {"zmin": -3.5, "zmax": 3.5, "showscale": False, "hoverinfo": "skip"}
    words = {"texttemplate": "%{z:.1f}", "textfont": {"size": 10}}
    fig.add_heatmap(uid="pale", colorscale=theme.SIGNED_PALE_SCALE, **at, **look)
    fig.add_heatmap(uid="strong", colorscale=theme.SIGNED_SCALE, **at, **look, **words)
    for uid, colour, width in (("changed", theme.PLAIN, 3), ("chosen", theme.SECOND, 3)):
        fig.add_scatter(
            x=[0.0] * 5,
            y=[0.0] * 5,
            mode="lines",
            uid=uid,
            name=uid,
            line={"color": colour, "width": width},
            hoverinfo="skip",
        )


def _curves(fig: go.Figure) -> None:
    for k, (label, (colour, dash)) in enumerate(zip(KINDS, _LOOKS, strict=True)):
        fig.add_scatter(
            x=np.linspace(-6, 6, 49),
            y=np.zeros(49),
            mode="lines",
            uid=f"curve-{k}",
            name=label,
            line={"color": colour, "width": 2, "dash": dash},
            hovertemplate="change %{x:.2f}: output %{y:.2f}<extra>" + label + "</extra>",
            **place(2),
        )
    fig.add_scatter(
        x=[0.0],
        y=[0.0],
        mode="markers",
        uid="now",
        name="chosen normaliser",
        marker={"color": theme.SECOND, "size": 12, "line": {"color": "white", "width": 1.5}},
        hovertemplate="output %{y:.2f}<extra></extra>",
        **place(2),
    )
