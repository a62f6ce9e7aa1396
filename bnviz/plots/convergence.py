"""Which networks converge, from the stored experiments `convergence` and its relatives."""

from collections import Counter
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["convergence_map", "inside_map"]

# class: letter, colour, symbol; shades of grey and green keep away from the two of the networks
_CLASSES = {
    "converged": ("C", "#1f9e89", "circle"),
    "slow": ("L", "#9fd8c4", "triangle-up"),
    "stuck": ("S", "#8a929b", "square"),
    "oscillating": ("O", "#b48ae6", "diamond"),
    "diverged": ("D", "#d1495b", "x"),
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
    steps = [
        [k / 5, colour] for i, (_, colour, _) in enumerate(_CLASSES.values()) for k in (i, i + 1)
    ]
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
        letter, colour, _ = _CLASSES[name]
        fig.add_scatter(
            x=[None],
            y=[None],
            mode="markers",
            name=f"{letter} {name}",
            row=1,
            col=1,
            marker={"symbol": "square", "size": 11, "color": colour},
        )


def inside_map(result: dict[str, Any], activation: str | None = None, layer: int = 5) -> go.Figure:
    """Every run as a mark: how wide a layer's pre-activations end, and how much they still move.

    Args:
        result: `experiments.load("convergence")`.
        activation: which rows, where the result has several.
        layer: one of `result["summary"]["layers"]`.
    """
    fig = make_subplots(2, 1, shared_xaxes=True, vertical_spacing=0.11)
    for row, (net, label, colour) in enumerate(_NETS, start=1):
        for name, (letter, fill, symbol) in _CLASSES.items():
            runs = [
                r
                for r in result["rows"]
                if (r["net"], r["class"]) == (net, name)
                and _is(r, activation)
                and r[f"width{layer}"] is not None
            ]
            _marks(fig, row, runs, layer, f"{letter} {name}", fill, symbol)
        fig.add_annotation(
            text=f"<b>{label}</b>, layer {layer}",
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
    ticks = {
        "tickvals": [1e-4, 1e-3, 0.01, 0.1, 1, 10, 100],
        "fixedrange": True,
        "type": "log",
        "ticktext": ["≤ 0.0001", "0.001", "0.01", "0.1", "1", "10", "≥ 100"],
    }
    fig.update_xaxes(range=[-4.2, 2.2], **ticks)
    fig.update_yaxes(range=[-4.3, 2.2], title_text="drift over 5 steps, at the end", **ticks)
    fig.update_xaxes(title_text="spread over the images (std of a unit)", row=2)
    return fig.update_layout(
        template=theme.template("light"),
        height=600,
        margin={"l": 66, "r": 10, "t": 64, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.055, "yanchor": "bottom", "itemwidth": 30},
    )


def _marks(fig, row, runs, layer, name, colour, symbol) -> None:
    x, y = ([min(max(r[f"{key}{layer}"], 1e-4), 100) for r in runs] for key in ("width", "late"))
    fig.add_scatter(
        x=x,
        y=y,
        mode="markers",
        name=name,
        legendgroup=name,
        row=row,
        col=1,
        opacity=0.8,
        showlegend=bool(runs) and not any(t.name == name and t.showlegend for t in fig.data),
        marker={
            "symbol": symbol,
            "size": 7,
            "color": colour,
            "line": {"width": 0.5, "color": "#555"},
        },
        customdata=[[r["lr"], r["scale"], r[f"saturated{layer}"]] for r in runs],
        hovertemplate="lr %{customdata[0]:g}, scale %{customdata[1]:g}: spread %{x:.2g}, drift "
        "%{y:.2g}, %{customdata[2]:.0%} saturated<extra>" + name + "</extra>",
    )
