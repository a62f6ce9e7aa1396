"""Which networks converge, from the stored experiments `convergence` and its relatives."""

from collections import Counter
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["convergence_map"]

# class: letter, colour; shades of grey and green keep away from the two of the networks
_CLASSES = {
    "converged": ("C", "#1f9e89"),
    "slow": ("L", "#9fd8c4"),
    "stuck": ("S", "#8a929b"),
    "oscillating": ("O", "#b48ae6"),
    "diverged": ("D", "#d1495b"),
}
_NETS = (("plain", "without BN", theme.PLAIN), ("bn", "with BN", theme.BN))


def convergence_map(result: dict[str, Any], activation: str | None = None) -> go.Figure:
    """Learning rate by initial scale: the class of most seeds, and of how many, for both nets.

    Args:
        result: `experiments.load("convergence")`.
        activation: which rows, where the result has several.
    """
    fig = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.11)
    for row, (net, label, colour) in enumerate(_NETS, start=1):
        runs = [r for r in result["rows"] if r["net"] == net and _is(r, activation)]
        _cells(fig, row, runs)
        fig.add_annotation(
            text=f"<b>{label}</b>",
            x=0,
            y=1.02,
            xref="x domain",
            yref="y domain",
            xanchor="left",
            yanchor="bottom",
            showarrow=False,
            row=row,
            col=1,
            font={"color": colour, "size": 13},
        )
    present = {r["class"] for r in result["rows"] if _is(r, activation)}
    _legend(fig, [name for name in _CLASSES if name in present])
    fig.update_xaxes(type="category", fixedrange=True, showgrid=False, zeroline=False)
    fig.update_yaxes(type="category", fixedrange=True, showgrid=False, title_text="initial scale")
    fig.update_xaxes(title_text="learning rate", row=2)
    return fig.update_layout(
        template=theme.template("light"),
        height=560,
        margin={"l": 50, "r": 10, "t": 64, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.055, "yanchor": "bottom", "itemwidth": 30},
    )


def _is(row: dict, activation: str | None) -> bool:
    return activation is None or row["activation"] == activation


def _cells(fig, row, runs) -> None:
    names = list(_CLASSES)
    rates, scales = (sorted({r[key] for r in runs}) for key in ("lr", "scale"))
    z, text, hover = [], [], []
    for scale in scales:
        counts = [
            Counter(r["class"] for r in runs if (r["lr"], r["scale"]) == (lr, scale))
            for lr in rates
        ]
        most = [min(c, key=lambda name: (-c[name], names.index(name))) for c in counts]
        seeds = [sum(c.values()) for c in counts]
        z.append([names.index(name) for name in most])
        text.append(
            [
                f"<b>{_CLASSES[name][0]}</b>" + ("" if c[name] == n else f" {c[name]}/{n}")
                for name, c, n in zip(most, counts, seeds, strict=True)
            ]
        )
        hover.append([", ".join(f"{k} {name}" for name, k in c.most_common()) for c in counts])
    steps = [[k / 5, colour] for i, (_, colour) in enumerate(_CLASSES.values()) for k in (i, i + 1)]
    fig.add_heatmap(
        x=[f"{lr:g}" for lr in rates],
        y=[f"{s:g}" for s in scales],
        z=z,
        text=text,
        texttemplate="%{text}",
        customdata=hover,
        zmin=-0.5,
        zmax=4.5,
        colorscale=steps,
        showscale=False,
        xgap=2,
        ygap=2,
        row=row,
        col=1,
        textfont={"size": 11, "color": "#1b1f24"},
        hovertemplate="lr %{x}, scale %{y}: %{customdata}<extra></extra>",
    )


def _legend(fig, names) -> None:
    for name in names:
        letter, colour = _CLASSES[name]
        fig.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=f"{letter} {name}",
            row=1,
            col=1,
            marker={"symbol": "square", "size": 11, "color": colour},
        )
