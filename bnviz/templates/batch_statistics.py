"""The template of `batch-statistics`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, centres, note, panel, place, sheet, whisker

__all__ = ["MEAN_BINS", "REACH", "VAR_BINS", "VAR_TOP", "batch_statistics"]

REACH, MEAN_BINS = 2.4, 48  # means: in units of sigma, to either side
VAR_TOP, VAR_BINS = 2.4, 48  # variances: in units of sigma squared
_LEFT, _RIGHT = [0, 0.455], [0.545, 1]
_ABOVE, _BELOW = [0.55, 0.94], [0, 0.36]


def batch_statistics(mean: float, std: float, sizes: tuple[int, ...]) -> dict:
    """Left the means, right the variances; above their histograms, below the laws they follow."""
    fig = go.Figure()
    _means(fig, mean, std)
    _variances(fig, std)
    _laws(fig, sizes)
    _axes(fig, mean, std, sizes)
    for text, x, y in (
        ("<b>batch means μ<sub>B</sub></b>", 0, 1),
        ("<b>batch variances σ²<sub>B</sub></b>", 0.545, 1),
        ("<b>std of μ<sub>B</sub>, in σ</b>", 0, 0.43),
        ("<b>mean of σ²<sub>B</sub>, in σ²</b>", 0.545, 0.43),
    ):
        fig.add_annotation(**note(text, x, y, "left", "top"))
    _labels(fig)
    return as_dict(fig)


def _labels(fig: go.Figure) -> None:
    """Names beside the marks, at places where no mark comes."""
    for text, colour, (x, y), axis, side in (
        ("theory", theme.NEUTRAL, (0.01, 1.5 / 1.75), "", "left"),
        ("found", theme.THIRD, (0.01, 1.35 / 1.75), "", "left"),
        ("theory", theme.NEUTRAL, (0.99, 0.305 / 0.34), "2", "right"),
        ("found", theme.THIRD, (0.99, 0.28 / 0.34), "2", "right"),
        ("1/√m", theme.NEUTRAL, (0.45, 0.72), "3", "left"),
        ("(m − 1)/m", theme.NEUTRAL, (0.35, 0.45), "4", "left"),
    ):
        fig.add_annotation(
            text=text,
            x=x,
            y=y,
            xref=f"x{axis} domain",
            yref=f"y{axis} domain",
            xanchor=side,
            yanchor="middle",
            showarrow=False,
            font={"color": colour, "size": 11},
        )


def _means(fig: go.Figure, mean: float, std: float) -> None:
    _bars(fig, "means", mean + std * centres(-REACH, REACH, MEAN_BINS), 1)
    fig.add_scatter(
        x=np.round(mean + std * np.linspace(-REACH, REACH, 161), 5),
        y=np.zeros(161),
        mode="lines",
        uid="bell",
        line={"color": theme.NEUTRAL, "width": 1.5},
        name="normal curve",
        hoverinfo="skip",
    )
    _whisker(fig, "band", 1.5, theme.NEUTRAL, "theory: ± σ/√m", 1)
    _whisker(fig, "means-bar", 1.35, theme.THIRD, "measured: ± std", 1)
    _dotted(fig, mean, 1.6, 1)


def _variances(fig: go.Figure, std: float) -> None:
    _bars(fig, "variances", std**2 * centres(0, VAR_TOP, VAR_BINS), 2)
    _whisker(fig, "variances-bar", 0.28, theme.THIRD, "mean ± std", 2)
    _dotted(fig, std**2, 0.33, 2)
    fig.add_scatter(
        x=[std**2],
        y=[0.305],
        mode="markers",
        uid="variances-expected",
        **place(2),
        marker={"color": theme.NEUTRAL, "size": 10, "symbol": "diamond"},
        name="theory",
        hovertemplate="theory: %{x:.3f}<extra></extra>",
    )


def _laws(fig: go.Figure, sizes: tuple[int, ...]) -> None:
    m = np.round(np.geomspace(sizes[0], sizes[-1], 50), 4)
    for uid, name, y, dash, k in (
        ("root", "1/√m", m**-0.5, "solid", 3),
        ("biased", "biased: (m − 1)/m", 1 - 1 / m, "solid", 4),
        ("unbiased", "unbiased: 1", np.ones(50), "dash", 4),
    ):
        fig.add_scatter(
            x=m,
            y=np.round(y, 5),
            mode="lines",
            line={"color": theme.NEUTRAL, "width": 1.5, "dash": dash},
            uid=uid,
            name=name,
            hoverinfo="skip",
            **place(k),
        )
    dot = {"color": theme.THIRD, "size": 7}
    ring = {"color": theme.THIRD, "size": 15, "symbol": "circle-open"}
    for uid, k in (("spread", 3), ("bias", 4)):
        look = {"mode": "markers", "hovertemplate": "m = %{x:.0f}: %{y:.3f}<extra></extra>"}
        look |= place(k)
        fig.add_scatter(x=sizes, y=[1] * len(sizes), uid=uid, marker=dot, **look)
        fig.add_scatter(x=[8], y=[1], uid=f"{uid}-now", marker=ring, **look)


def _bars(fig: go.Figure, uid: str, x: np.ndarray, k: int) -> None:
    fig.add_bar(
        x=np.round(x, 6),
        y=np.zeros(len(x)),
        width=float(x[1] - x[0]),
        uid=uid,
        marker_color=theme.THIRD,
        opacity=0.6,
        hoverinfo="skip",
        **place(k),
    )


def _whisker(fig: go.Figure, uid: str, y: float, colour: str, name: str, k: int) -> None:
    fig.add_scatter(**whisker(uid, y, colour, name, f"{name}: %{{x:.3f}}", dot=8), **place(k))


def _dotted(fig: go.Figure, x: float, top: float, k: int) -> None:
    """The value over all digits, a line across a histogram."""
    at = place(k)
    fig.add_scatter(
        x=[x, x],
        y=[0, top],
        mode="lines",
        uid=f"all-{at['xaxis']}",
        line={"color": theme.NEUTRAL, "width": 1.5, "dash": "dot"},
        name="all digits",
        hoverinfo="skip",
        **at,
    )


def _axes(fig: go.Figure, mean: float, std: float, sizes: tuple[int, ...]) -> None:
    level = {"tickangle": 0}
    hidden = {"showticklabels": False, "showgrid": False, "zeroline": False, **level}
    means = {"range": [mean - REACH * std, mean + REACH * std], "dtick": 1, **level}
    means["title"] = {"text": "μ<sub>B</sub>"}
    variances = {"range": [0, VAR_TOP * std**2], "dtick": 0.5, **level}
    variances["title"] = {"text": "σ²<sub>B</sub>"}
    log = {"type": "log", "range": [0.2, 2.5], "tickvals": list(sizes[::2]), **level}
    log["title"] = {"text": "batch size m"}
    spread = {"type": "log", "range": [-1.35, 0], "tickvals": [0.0625, 0.125, 0.25, 0.5], **level}
    spread["ticktext"] = ["1/16", "1/8", "1/4", "1/2"]
    bias = {"range": [0.4, 1.1], "tickvals": [0.5, 0.75, 1], "side": "right", **level}
    fig.update_layout(
        xaxis={"domain": _LEFT, "fixedrange": True, **means},
        yaxis={"domain": _ABOVE, "fixedrange": True, "range": [0, 1.75], **hidden},
        **panel(2, _RIGHT, _ABOVE, variances, {"range": [0, 0.34], **hidden}),
        **panel(3, _LEFT, _BELOW, log, spread),
        **panel(4, _RIGHT, _BELOW, log, bias),
        **sheet(500, 34, 34, 6, 42),
    )
