"""The start of deep networks, from the experiment `depth`: gradients and saturated units."""

from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["gradients_by_depth"]

_NETS = (  # net, label, colour, dash, symbol
    ("sigmoid-plain", "sigmoid, without BN", theme.PLAIN, "solid", "diamond"),
    ("sigmoid-bn", "sigmoid, with BN", theme.BN, "solid", "circle"),
    ("tanh-plain", "tanh, without BN", theme.PLAIN, "dot", "diamond-open"),
    ("tanh-bn", "tanh, with BN", theme.BN, "dot", "circle-open"),
)
_LOST = -13.0  # where a gradient is drawn that is 0 in float32


def gradients_by_depth(result: dict[str, Any]) -> go.Figure:
    """Before training: gradient of layer 1 over that of the last, and share of saturated units.

    Args:
        result: `experiments.load("depth")`.
    """
    depths, best = result["summary"]["depths"], result["summary"]["best"]
    fig = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.12)
    for net, label, colour, dash, symbol in _NETS:
        gradient = [_LOST if g is None else g for g in best[net]["gradient"]]
        for row, values in enumerate((gradient, best[net]["saturated"]), start=1):
            fig.add_scatter(
                x=depths, y=values, mode="lines+markers", name=label, showlegend=row == 1,
                line={"color": colour, "width": 2, "dash": dash},
                marker={"symbol": symbol, "size": 8},
                hovertemplate="%{x} layers: %{y:.2g}<extra>" + label + "</extra>",
                row=row, col=1,
            )  # fmt: skip
    fig.add_annotation(text="0 in float32", x=1.57, y=_LOST, xanchor="right", yanchor="top",
                       showarrow=False, row=1, col=1)  # fmt: skip
    fig.update_xaxes(type="log", range=[0.25, 1.65], tickvals=depths, fixedrange=True,
                     zeroline=False)  # fmt: skip
    fig.update_xaxes(title_text="hidden layers (log scale)", row=2)
    fig.update_yaxes(title_text="gradient, layer 1 / last", range=[-16, 3], fixedrange=True,
                     tickvals=[-10, -5, 0], ticktext=["10⁻¹⁰", "10⁻⁵", "1"], row=1)  # fmt: skip
    fig.update_yaxes(title_text="saturated units", range=[-0.02, 0.3], tickformat=".0%",
                     fixedrange=True, row=2)  # fmt: skip
    return fig.update_layout(
        template=theme.template("light"), height=520,
        margin={"l": 66, "r": 14, "t": 50, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
        meta={"alt": _in_words(depths, best)},
    )  # fmt: skip


def _in_words(depths: list[int], best: dict[str, Any]) -> str:
    said = []
    for net, label, *_ in _NETS:
        gradient = ("0" if g is None else f"10^{g:.1f}" for g in best[net]["gradient"])
        saturated = (f"{s:.1%}" for s in best[net]["saturated"])
        said.append(f"{label}: {', '.join(gradient)}; saturated {', '.join(saturated)}")
    layers = ", ".join(map(str, depths))
    return f"Gradient of layer 1 over the last, with {layers} layers. {'. '.join(said)}."
