"""The template of `batch-noise`."""

import math
from collections.abc import Callable, Mapping

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, note, panel, place, sheet

__all__ = ["BATCHES", "LARGEST", "SIZES", "STATISTICS", "TOPS", "batch_noise"]

Law = Callable[[float], tuple[float, float]]
BATCHES, LARGEST = 36, 256
SIZES = (2, 4, 8, 16, 32, 64, 128, 256)
STATISTICS = {
    "mu": "mean μ<sub>B</sub>",
    "sigma": "σ<sub>B</sub>",
    "inverse": "1/σ<sub>B</sub>, what BN multiplies by",
}
TOPS = {"mu": (-2.0, 2.0), "sigma": (0.0, 2.0), "inverse": (0.0, 4.0)}  # of the axes
_UPS = ((0.7, 0.965), (0.36, 0.62), (0.0, 0.28))


def batch_noise(laws: Mapping[str, Law]) -> dict:
    """Three panels, one for each statistic, against the size of the batch.

    Args:
        laws: name of a statistic -> a function of m that gives its mean and its std.
    """
    fig = go.Figure()
    layout: dict = {"annotations": []}
    for k, (name, title) in enumerate(STATISTICS.items(), start=1):
        low, high = TOPS[name]
        size = {"type": "log", "range": [0.2, 2.52], "tickvals": list(SIZES), "tickangle": 0}
        last = k == len(STATISTICS)
        size |= {"title": {"text": "examples in a batch, m"}} if last else {"showticklabels": False}
        margin = 0.03 * (high - low)
        y = {"range": [low - margin, high + margin], "dtick": 1, "zeroline": name == "mu"}
        layout |= panel(k, [0, 1], _UPS[k - 1], size, y)
        layout["annotations"].append(heading(title, 0, _UPS[k - 1][1] + 0.004))
        _traces(fig, name, laws[name], k)
    words = note("groups of g, in batches of m", 1, _UPS[0][1] + 0.004, "right", "bottom")
    layout["annotations"].append(words | {"font": {"color": theme.SECOND, "size": 12}})
    fig.update_layout(layout | sheet(620, 34, 10, 12, 42))
    return as_dict(fig)


def _traces(fig: go.Figure, name: str, law: Law, k: int) -> None:
    m = np.geomspace(2, LARGEST, 57)
    for sign in (-1, 1):
        edges = [middle + sign * spread for middle, spread in map(law, m)]
        fig.add_scatter(
            x=np.round(m, 4),
            y=[round(e, 5) if math.isfinite(e) else None for e in edges],
            mode="lines",
            uid=f"{name}-{'low' if sign < 0 else 'high'}",
            line={"color": theme.NEUTRAL, "width": 1.8},
            hoverinfo="skip",
            **place(k),
        )
    fig.add_scatter(
        x=[64.0, 64.0],
        y=list(TOPS[name]),
        mode="lines",
        uid=f"{name}-line",
        line={"color": theme.SECOND, "width": 1, "dash": "dot"},
        hoverinfo="skip",
        **place(k),
    )
    for part, colour, size, opacity in (
        ("cloud", theme.BN, 3.5, 0.5),
        ("group", theme.SECOND, 5, 0.85),
    ):
        fig.add_scatter(
            x=[],
            y=[],
            mode="markers",
            uid=f"{name}-{part}",
            name="batches" if part == "cloud" else "groups",
            marker={"color": colour, "size": size},
            opacity=opacity,
            hovertemplate="%{y:.2f}<extra></extra>",
            **place(k),
        )
