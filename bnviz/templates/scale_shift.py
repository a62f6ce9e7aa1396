"""The template of `scale-shift`."""

import numpy as np
from plotly.subplots import make_subplots

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, sheet, whisker

__all__ = ["scale_shift"]

_ROWS = (
    ("before", "before: z", theme.PLAIN),
    ("normalised", "normalised: x̂", theme.NEUTRAL),
    ("after", "after: y = γ x̂ + β", theme.BN),
)


def scale_shift(low: float, high: float, bins: int) -> dict:
    """Three histograms on one axis (before, normalised, after) above the sigmoid's response."""
    fig = make_subplots(
        rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[1, 1, 1, 1.25]
    )
    for row, (uid, label, colour) in enumerate(_ROWS, start=1):
        at: dict = {"row": row, "col": 1}
        fig.add_bar(
            x=centres(low, high, bins),
            y=np.zeros(bins),
            width=(high - low) / bins,
            marker_color=colour,
            opacity=0.75,
            uid=f"{uid}-histogram",
            name=label,
            hovertemplate="%{x:.2f}: %{y:.1%}<extra></extra>",
            **at,
        )
        fig.add_scatter(**whisker(f"{uid}-bar", 0.25, colour, f"mean ± std {label}"), **at)
        _heading(fig, label, at)
        shares = {"range": [0, 0.28], "tickformat": ".0%", "tickvals": [0, 0.1, 0.2]}
        fig.update_yaxes(shares, fixedrange=True, **at)
    _response(fig, low, high, {"row": 4, "col": 1})
    fig.update_xaxes(range=[low, high], fixedrange=True, dtick=2)
    fig.update_xaxes(title_text="value of the pre-activation", row=4, col=1)
    fig.update_layout(**sheet(600, 44, 12, 24, 44), bargap=0)
    return as_dict(fig)


def _response(fig, low: float, high: float, at: dict) -> None:
    """The sigmoid, and where the values before and after land on it."""
    line = np.round(np.linspace(low, high, 97), 4)
    fig.add_scatter(
        x=line,
        y=np.round(1 / (1 + np.exp(-line)), 5),
        mode="lines",
        uid="sigmoid",
        name="sigmoid",
        line={"color": theme.NEUTRAL, "width": 1.5},
        hoverinfo="skip",
        **at,
    )
    for uid, label, colour in (_ROWS[0], _ROWS[2]):
        fig.add_scatter(
            x=[],
            y=[],
            mode="markers",
            uid=f"{uid}-response",
            name=label,
            marker={"color": colour, "size": 7 if uid == "after" else 5, "opacity": 0.55},
            hovertemplate="σ(%{x:.2f}) = %{y:.2f}<extra></extra>",
            **at,
        )
    _heading(fig, "sigmoid's response", at)
    fig.update_yaxes(range=[-0.05, 1.1], tickvals=[0, 0.5, 1], fixedrange=True, **at)


def _heading(fig, text: str, at: dict) -> None:
    left = {"x": 0, "xref": "x domain", "xanchor": "left"}
    above = {"y": 1, "yref": "y domain", "yanchor": "bottom"}
    fig.add_annotation(text=f"<b>{text}</b>", **left, **above, showarrow=False, **at)
