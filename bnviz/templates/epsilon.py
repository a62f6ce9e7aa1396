"""The template of `epsilon`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, note, panel, place, sheet

__all__ = ["BINS", "REACH", "STDS", "epsilon"]

REACH, BINS = 4.125, 33  # both histograms; an odd number puts zero in the middle of a bin
LOWEST, HIGHEST = -8.2, 1.2  # log10 of the spread
STDS = tuple(float(f"{s:.6g}") for s in np.geomspace(1e-8, 10, 73))
_KNOWN = ((1e-8, "10⁻⁸", -0.15), (1e-5, "10⁻⁵", -0.15), (1e-3, "10⁻³", 0.2))  # label at the side


def epsilon() -> dict:
    """Above: the feature in units of its spread, and after BN. Below: spread after and before."""
    fig = go.Figure()
    for k, uid, colour in ((1, "before", theme.PLAIN), (2, "after", theme.BN)):
        fig.add_bar(
            x=centres(-REACH, REACH, BINS),
            y=np.zeros(BINS),
            width=2 * REACH / BINS,
            uid=uid,
            marker_color=colour,
            opacity=0.75,
            hovertemplate="%{x:.2f}: %{y:.1%}<extra></extra>",
            **place(k),
        )
    for known in _KNOWN:
        _curve_of(fig, *known)
    _yours(fig)
    fig.update_layout(**_axes(), **sheet(480, 34, 36, 6, 44))
    for text, x, y in (
        ("<b>stored x</b>", 0, 1),
        ("<b>normalised x̂</b>", 0.545, 1),
        ("<b>spread (std) of x̂</b>", 0, 0.51),
    ):
        fig.add_annotation(**note(text, x, y, "left", "top"))
    return as_dict(fig)


def _curve_of(fig: go.Figure, eps: float, label: str, shift: float) -> None:
    """The spread after BN, with a usual epsilon; its name stands beside the middle."""
    stds = np.array(STDS)
    fig.add_scatter(
        x=STDS,
        y=np.round(stds / np.sqrt(stds**2 + eps), 5),
        mode="lines",
        line={"color": theme.NEUTRAL, "width": 1.5, "dash": "dash"},
        uid=f"known-{label}",
        name=f"ε = {label}",
        hoverinfo="skip",
        **place(3),
    )
    x = float(np.log10(np.sqrt(eps)) + shift - LOWEST) / (HIGHEST - LOWEST)
    words = note(label, x, 0.5, "right" if shift < 0 else "left", "bottom")
    fig.add_annotation(words | {"xref": "x3 domain", "yref": "y3 domain"})


def _yours(fig: go.Figure) -> None:
    hover = "%{x:.1e} becomes %{y:.3f}<extra></extra>"
    fig.add_scatter(
        x=STDS,
        y=np.zeros(len(STDS)),
        mode="lines",
        uid="curve",
        line={"color": theme.BN, "width": 2.5},
        name="your ε, exact",
        hovertemplate=hover,
        **place(3),
    )
    fig.add_scatter(
        x=[1e-3],
        y=[0],
        mode="markers",
        uid="point",
        marker={"color": theme.BN, "size": 13},
        name="float32",
        hovertemplate=hover,
        **place(3),
    )


def _axes() -> dict:
    share = {"domain": [0.62, 0.93], "range": [0, 0.36], "fixedrange": True}
    share |= {"tickformat": ".0%", "tickvals": [0, 0.1, 0.2, 0.3]}
    bins = {"range": [-REACH, REACH], "tickvals": [-2, 0, 2], "fixedrange": True}
    spread = {
        "type": "log",
        "range": [LOWEST, HIGHEST],
        "tickvals": [1e-8, 1e-6, 1e-4, 1e-2, 1],
        "ticktext": ["10⁻⁸", "10⁻⁶", "10⁻⁴", "10⁻²", "1"],
        "tickangle": 0,
        "title": {"text": "spread (std) of x before BN"},
    }
    return {
        "xaxis": {"domain": [0, 0.455], "title": {"text": "(x − mean) / spread"}, **bins},
        "yaxis": share,
        "xaxis2": {"domain": [0.545, 1], "anchor": "y2", "title": {"text": "x̂"}, **bins},
        "yaxis2": {"anchor": "x2", "side": "right", **share},
        **panel(3, (0, 1), (0, 0.45), spread, {"range": [-0.05, 1.15], "tickvals": [0, 0.5, 1]}),
    }
