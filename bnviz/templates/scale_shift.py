"""The template of `scale-shift`."""

import numpy as np
from plotly.subplots import make_subplots

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres

__all__ = ["scale_shift"]


def scale_shift(low: float, high: float, bins: int) -> dict:
    """Three histograms on one axis (before, normalised, after) above the sigmoid's response."""
    rows = (
        ("before", "before: z", theme.PLAIN),
        ("normalised", "normalised: x̂", theme.NEUTRAL),
        ("after", "after: y = γ x̂ + β", theme.BN),
    )
    fig = make_subplots(
        rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.07, row_heights=[1, 1, 1, 1.25]
    )
    width = (high - low) / bins
    for row, (uid, label, colour) in enumerate(rows, start=1):
        fig.add_bar(
            x=centres(low, high, bins),
            y=np.zeros(bins),
            width=width,
            marker_color=colour,
            opacity=0.75,
            uid=f"{uid}-histogram",
            name=label,
            row=row,
            col=1,
            hovertemplate="%{x:.2f}: %{y:.1%}<extra></extra>",
        )
        fig.add_scatter(
            x=[0, 0, 0],
            y=[0.25] * 3,
            mode="lines+markers",
            uid=f"{uid}-bar",
            row=row,
            col=1,
            line={"color": colour, "width": 2.5},
            marker={"size": [1, 9, 1], "color": colour},
            name=f"mean ± std {label}",
            hovertemplate="%{x:.2f}<extra></extra>",
        )
        fig.add_annotation(
            text=f"<b>{label}</b>",
            x=0,
            xref="x domain",
            y=1,
            yref="y domain",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            row=row,
            col=1,
        )
        fig.update_yaxes(
            range=[0, 0.28],
            tickformat=".0%",
            tickvals=[0, 0.1, 0.2],
            fixedrange=True,
            row=row,
            col=1,
        )
    line = np.round(np.linspace(low, high, 97), 4)
    fig.add_scatter(
        x=line,
        y=np.round(1 / (1 + np.exp(-line)), 5),
        mode="lines",
        uid="sigmoid",
        name="sigmoid",
        line={"color": theme.NEUTRAL, "width": 1.5},
        hoverinfo="skip",
        row=4,
        col=1,
    )
    for uid, label, colour in (rows[0], rows[2]):
        fig.add_scatter(
            x=[],
            y=[],
            mode="markers",
            uid=f"{uid}-response",
            name=label,
            row=4,
            col=1,
            marker={"color": colour, "size": 7 if uid == "after" else 5, "opacity": 0.55},
            hovertemplate="σ(%{x:.2f}) = %{y:.2f}<extra></extra>",
        )
    fig.add_annotation(
        text="<b>sigmoid's response</b>",
        x=0,
        xref="x domain",
        y=1,
        yref="y domain",
        xanchor="left",
        yanchor="bottom",
        showarrow=False,
        row=4,
        col=1,
    )
    fig.update_yaxes(range=[-0.05, 1.1], tickvals=[0, 0.5, 1], fixedrange=True, row=4, col=1)
    fig.update_xaxes(range=[low, high], fixedrange=True, dtick=2)
    fig.update_xaxes(title_text="value of the pre-activation", row=4, col=1)
    fig.update_layout(
        height=600, margin={"l": 44, "r": 12, "t": 24, "b": 44}, showlegend=False, bargap=0
    )
    return as_dict(fig)
