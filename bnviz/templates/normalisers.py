"""The template of `normalisers`."""

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

__all__ = ["BINS", "NETS", "SPAN", "normalisers"]

NETS = (  # kind, label, colour, dash
    ("batch", "batch (BN)", theme.BN, "solid"),
    ("layer", "layer", theme.SECOND, "dash"),
    ("group", "group", theme.THIRD, "dashdot"),
    ("instance", "instance", theme.NEUTRAL, "longdash"),
    ("none", "none", theme.PLAIN, "dot"),
)
SPAN, BINS = (-4.0, 4.0), 49  # an odd number, so that 0 is the middle of a bin
_SIDES = ((0.0, 0.485), (0.515, 1.0))
_BOTTOM, _GAP, _TOP = 0.38, 0.012, 1.05
_BELOW = (0.0, 0.265)


def normalisers() -> dict:
    """Five rows of densities, a column for each layer; loss and accuracy below."""
    fig = go.Figure()
    layout: dict = {"annotations": []}
    height = (1 - _BOTTOM - _GAP * (len(NETS) - 1)) / len(NETS)
    k = 1
    for row, (kind, label, colour, _) in enumerate(NETS):
        top = 1 - row * (height + _GAP)
        for layer, across in enumerate(_SIDES, start=1):
            last = row == len(NETS) - 1
            layout |= panel(k, across, (top - height, top), _values(last), _densities())
            _density(fig, kind, label, colour, layer, k)
            k += 1
        words = note(label, 0.012, top - 0.006, "left", "top", colour)
        layout["annotations"].append(words | {"font": {"color": colour, "size": 12}})
    for layer, title in enumerate(("convolution", "fully connected")):
        layout["annotations"].append(heading(title, _SIDES[layer][0], 1.004))
    for what, title, across, more in (
        ("loss", "loss", _SIDES[0], {"range": [0, 3.2], "nticks": 4}),
        ("test", "test accuracy", _SIDES[1], _SHARE),
    ):
        layout |= panel(k, across, _BELOW, time_axis(k, across), more)
        for kind, label, colour, dash in NETS:
            still = what == "test"  # the loss jumps too much for a dash to be seen
            line = {
                "color": colour,
                "width": 2 if still else 1.1,
                "dash": dash if still else "solid",
            }
            number = ".2f" if what == "loss" else ".1%"
            fig.add_scatter(**curve(f"{kind}-{what}", k, line, f"{what}, {label}", label, number))
        layout["annotations"].append(heading(title, across[0], _BELOW[1] + 0.006))
        k += 1
    fig.update_layout(layout | sheet(700, 34, 40, 26, 42))
    return as_dict(fig)


_SHARE = {"range": [0, 1.02], "tickformat": ".0%", "tickvals": [0, 0.5, 1], "side": "right"}


def _values(last: bool) -> dict:
    return {"range": list(SPAN), "tickvals": [-3, 0, 3], "showticklabels": last, "tickangle": 0}


def _densities() -> dict:
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False}
    return {"range": [0, _TOP], **bare}


def _density(fig: go.Figure, kind: str, label: str, colour: str, layer: int, k: int) -> None:
    fig.add_scatter(
        x=centres(*SPAN, BINS),
        y=np.zeros(BINS),
        mode="lines",
        fill="tozeroy",
        uid=f"{kind}-{layer}",
        line={"color": colour, "width": 1.5},
        name=f"{label}, layer {layer}",
        hovertemplate="value %{x:.1f}: density %{y:.2f}<extra></extra>",
        **place(k),
    )
