"""Two measures of internal covariate shift, from the stored experiment `ics-measures`."""

from statistics import median
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["ics_measures"]

_NETS = (
    ("plain", "without BN", theme.PLAIN, "circle", "dash"),
    ("bn", "with BN", theme.BN, "square", "solid"),
    ("noisy", "noisy BN", theme.THIRD, "diamond", "dot"),
)
_LAYERS = (1, 2, 3, 4, 5)


def ics_measures(
    result: dict[str, Any],
    settings: tuple[str, str] = ("sigmoid-fast", "tanh-fast"),
    phase: str = "late",
) -> go.Figure:
    """Drift of distributions (above) and turn of the gradient (below), layer by layer.

    Every seed is a mark, the medians are joined.

    Args:
        result: `experiments.load("ics-measures")`.
        settings: two of `result["settings"]["settings"]`, one for each column.
        phase: "early" (steps 0 to 99) or "late" (200 to 299).
    """
    chosen = [result["settings"]["settings"][name] for name in settings]
    titles = [f"<b>{c['activation']}</b>, lr {c['lr']:g}" for c in chosen]
    fig = make_subplots(
        2,
        2,
        shared_xaxes=True,
        shared_yaxes=True,
        vertical_spacing=0.1,
        horizontal_spacing=0.04,
        column_titles=titles,
    )
    for column, setting in enumerate(settings, start=1):
        for k, net in enumerate(_NETS):
            rows = [r for r in result["rows"] if (r["setting"], r["net"]) == (setting, net[0])]
            shift = 0.16 * (k - 1)  # side by side, so that no mark hides another
            drift = [_ratio(r[f"w1_{phase}"], r[f"std_{phase}"]) for r in rows]
            _layers(fig, 1, column, net, drift, shift)
            _layers(fig, 2, column, net, [r[f"cosine_{phase}"][:5] for r in rows], shift)
    fig.update_annotations(font_size=13)
    fig.update_xaxes(range=[0.5, 5.5], tickvals=_LAYERS, fixedrange=True, showgrid=False)
    fig.update_xaxes(title_text="layer", row=2)
    fig.update_yaxes(type="log", range=[-2.6, -0.1], tickvals=[0.01, 0.1], fixedrange=True, row=1)
    fig.update_yaxes(range=[-0.1, 1.06], nticks=4, fixedrange=True, row=2)
    fig.update_yaxes(title_text="drift in one step, in std", row=1, col=1)
    fig.update_yaxes(title_text="cosine of G and G'", row=2, col=1)
    return fig.update_layout(
        template=theme.template("light"),
        height=520,
        margin={"l": 50, "r": 10, "t": 56, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.07, "yanchor": "bottom"},
    )


def _ratio(top: list[float], bottom: list[float]) -> list[float]:
    return [a / b for a, b in zip(top, bottom, strict=True)]


def _layers(fig, row, column, net, values, shift) -> None:
    """Marks of every seed and the median, for one network in one panel."""
    name, label, colour, symbol, dash = net
    x = [layer + shift for layer in _LAYERS]
    fig.add_scatter(
        x=x,
        y=[median(layer) for layer in zip(*values, strict=True)],
        mode="lines+markers",
        name=label,
        legendgroup=name,
        showlegend=(row, column) == (1, 1),
        row=row,
        col=column,
        line={"color": colour, "width": 2, "dash": dash},
        marker={"symbol": symbol, "size": 8, "color": colour},
        hovertemplate="%{y:.3f}<extra>" + label + ", median</extra>",
    )
    fig.add_scatter(
        x=x * len(values),
        y=[v for run in values for v in run],
        mode="markers",
        name=label,
        legendgroup=name,
        showlegend=False,
        row=row,
        col=column,
        opacity=0.45,
        marker={"symbol": symbol, "size": 5, "color": colour},
        hovertemplate="%{y:.3f}<extra>" + label + ", one seed</extra>",
    )
