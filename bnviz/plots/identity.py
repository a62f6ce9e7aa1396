"""How far BN is from the identity, with the gamma and beta that should give it back."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from bnviz.figure import theme

__all__ = ["identity_residue"]


def identity_residue(sizes: Sequence[int], batch: Sequence[float], eps: Mapping) -> go.Figure:
    """What is left of y - x, in standard deviations of x, against the batch size.

    Args:
        sizes: of batches.
        batch: root mean square residue at each, with sigma and mu of all examples as gamma, beta.
        eps: label -> residue that leaving out epsilon makes, whatever the size.
    """
    fig = go.Figure(layout_template=theme.template("light"))
    fig.add_scatter(
        x=list(sizes),
        y=[_short(value) for value in batch],
        mode="lines+markers",
        name="because the batch changes",
        line={"color": theme.BN},
        hovertemplate="m = %{x}: %{y:.2g}<extra></extra>",
    )
    fig.add_scatter(
        x=list(sizes),
        y=[(1.5 / m) ** 0.5 for m in sizes],
        mode="lines",
        name="√(1.5 / m)",
        line={"color": theme.NEUTRAL, "dash": "dot"},
        hoverinfo="skip",
    )
    for (label, value), dash in zip(eps.items(), ("dash", "dashdot"), strict=False):
        fig.add_scatter(
            x=list(sizes),
            y=[_short(value)] * len(sizes),
            mode="lines",
            name=label,
            line={"color": theme.THIRD, "dash": dash},
            hovertemplate="%{y:.1g}<extra></extra>",
        )
    fig.update_xaxes(type="log", tickvals=list(sizes), title_text="batch size", fixedrange=True)
    fig.update_yaxes(
        type="log",
        exponentformat="power",
        title_text="residue, in standard deviations of x",
        fixedrange=True,
    )
    return fig.update_layout(
        height=360,
        margin={"l": 70, "r": 10, "t": 10, "b": 45},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
    )


def _short(value: float) -> float:
    """Three digits: more differ from processor to processor, and none can be seen."""
    return float(f"{value:.3g}")
