"""How networks fail to train, and what revives them: `failures-*` and `interventions`."""

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["early_and_late", "kinds_by_rate", "revived"]

# kind: letter, colour; shades that keep away from the two colours of the networks
_KINDS = {
    "learned": ("L", "#1f9e89"),
    "slow": ("S", "#9fd8c4"),
    "faded": ("F", "#8a929b"),
    "thrown, dead": ("D", "#59626c"),
    "thrown, moving": ("M", "#b48ae6"),
    "diverged": ("X", "#d1495b"),
}
_SEEN = 0.1  # from this share of a bar on, the letter fits
_NETS = (("plain", "without BN", theme.PLAIN), ("bn", "with BN", theme.BN))
_TITLES = {"sigmoid": "sigmoid", "tanh": "tanh", "relu": "ReLU"}


def kinds_by_rate(results: Mapping[str, dict[str, Any]]) -> go.Figure:
    """Share of the runs of each kind, by learning rate: activations side by side, BN below.

    Args:
        results: activation -> `experiments.load("failures-ACTIVATION")`.
    """
    fig = make_subplots(
        2,
        len(results),
        shared_xaxes=True,
        shared_yaxes=True,
        vertical_spacing=0.1,
        horizontal_spacing=0.03,
        column_titles=[f"<b>{_TITLES[name]}</b>" for name in results],
    )
    for column, result in enumerate(results.values(), start=1):
        for row, (net, label, _) in enumerate(_NETS, start=1):
            rates = result["summary"][net]["by_rate"]
            for kind, (letter, colour) in _KINDS.items():
                runs = [sum(by.get(k, 0) for k in _KINDS) for by in rates]
                shares = [by.get(kind, 0) / n for by, n in zip(rates, runs, strict=True)]
                fig.add_bar(
                    x=[f"{by['lr']:g}" for by in rates],
                    y=shares,
                    name=f"{letter} {kind}",
                    legendgroup=kind,
                    text=[letter if share >= _SEEN else "" for share in shares],
                    textposition="inside",
                    insidetextanchor="middle",
                    textangle=0,
                    textfont={"size": 10, "color": "#ffffff" if letter in "LDX" else "#1b1f24"},
                    showlegend=row == column == 1,
                    marker={"color": colour},
                    hovertemplate=f"lr %{{x}}: %{{y:.0%}}<extra>{label}, {kind}</extra>",
                    row=row,
                    col=column,
                )
    fig.update_xaxes(type="category", fixedrange=True, tickangle=0, tickfont={"size": 10})
    fig.update_xaxes(title_text="learning rate", row=2)
    fig.update_yaxes(
        range=[0, 1], tickformat=".0%", tickvals=[0, 0.5, 1], fixedrange=True, showgrid=False
    )
    for row, (_, label, _) in enumerate(_NETS, start=1):
        fig.update_yaxes(title_text=label, row=row, col=1)
    return fig.update_layout(
        template=theme.template("light"),
        barmode="stack",
        bargap=0.12,
        height=460,
        margin={"l": 58, "r": 10, "t": 76, "b": 44},
        legend={"orientation": "h", "x": 0, "y": 1.12, "yanchor": "bottom", "traceorder": "normal"},
    )


def early_and_late(results: Mapping[str, dict[str, Any]]) -> go.Figure:
    """Drift of the last hidden layer, from the first quarter of a run to its last, by kind.

    Left in units of the pre-activation, right in spreads of a unit over the images: a hollow mark
    for early and a full one for late, medians over all runs of that kind.

    Args:
        results: activation -> `experiments.load("failures-ACTIVATION")`.
    """
    fig = make_subplots(
        1,
        2,
        shared_yaxes=True,
        horizontal_spacing=0.03,
        subplot_titles=("as the activation sees it", "in spreads of a unit"),
    )
    for label, colour, looks in _lines(results):
        for column, end in enumerate(("", "_std"), start=1):
            x = [_inside(looks[f"early{end}"]), _inside(looks[f"late{end}"])]
            fig.add_scatter(
                x=x,
                y=[label, label],
                mode="lines+markers",
                line={"color": colour, "width": 2},
                marker={"symbol": ["circle-open", "circle"], "size": 9, "color": colour},
                showlegend=False,
                hovertemplate="%{x:.2g}<extra>" + label + "</extra>",
                row=1,
                col=column,
            )
    ticks = [1e-3, 0.01, 0.1, 1, 10, 100]
    fig.update_xaxes(
        type="log",
        range=[-3.3, 2.3],
        tickvals=ticks,
        ticktext=["≤ 0.001", "0.01", "0.1", "1", "10", "≥ 100"],
        fixedrange=True,
        title_text="drift over 5 steps",
    )
    fig.update_yaxes(fixedrange=True, autorange="reversed", ticksuffix=" ")
    fig.update_annotations(font_size=12)
    return fig.update_layout(
        template=theme.template("light"),
        height=560,
        margin={"l": 176, "r": 12, "t": 30, "b": 44},
    )


def _lines(results):
    """Label, colour and medians of every kind of which there are ten runs or more."""
    for name, result in results.items():
        for net, label, colour in _NETS:
            counts, looks = (result["summary"][net][k] for k in ("counts", "looks"))
            for kind in _KINDS:
                if kind != "diverged" and counts[kind] >= 10:
                    yield f"{_TITLES[name]} {label}: {kind}", colour, looks[kind]


def _inside(value: float | None) -> float | None:
    """Inside the axis; None where the spread is 0 and no ratio exists."""
    return None if value is None else min(max(value, 1e-3), 100)


_ARMS = {
    "goes on": "goes on",
    "goes on, slower": "goes on at lr / 10",
    "spread": "spread restored",
    "spread, slower": "spread restored, lr / 10",
    "centre": "means moved back",
    "centre, slower": "means moved back, lr / 10",
    "both": "both",
    "both, slower": "both, lr / 10",
    "held": "means held from the start",
    "BN": "BN swapped in",
    "BN, slower": "BN swapped in, lr / 10",
    "reset": "γ = 1, β = 0 again",
    "reset, slower": "γ = 1, β = 0 again, lr / 10",
    "head": "first head again",
    "head, slower": "first head again, lr / 10",
    "reset and head": "γ, β and head again",
    "reset and head, slower": "γ, β and head again, lr / 10",
}


def revived(result: dict[str, Any]) -> go.Figure:
    """How many of the failed networks learn after a change in mid-run: a row for each change.

    Args:
        result: `experiments.load("interventions")`.
    """
    settings = result["summary"]
    counts = [[v["learned"].get(arm, {}).get("all") for v in settings.values()] for arm in _ARMS]
    fig = go.Figure()
    fig.add_heatmap(
        x=list(settings),
        y=list(_ARMS.values()),
        z=counts,
        text=[["" if c is None else str(c) for c in row] for row in counts],
        texttemplate="%{text}",
        zmin=0,
        zmax=max(v["seeds"] for v in settings.values()),
        colorscale=[[0, "#f3f4f6"], [1, "#1f9e89"]],
        showscale=False,
        xgap=2,
        ygap=2,
        hovertemplate="%{x}, %{y}: %{z} learn<extra></extra>",
    )
    # upright, or eight of them overlap on a phone
    fig.update_xaxes(
        fixedrange=True, side="top", showgrid=False, tickfont={"size": 11}, tickangle=-90
    )
    fig.update_yaxes(fixedrange=True, autorange="reversed", showgrid=False, ticksuffix=" ")
    return fig.update_layout(
        template=theme.template("light"),
        height=600,
        margin={"l": 190, "r": 10, "t": 90, "b": 10},
        meta={"alt": _in_words(result)},
    )


def _in_words(result: dict[str, Any]) -> str:
    """The same for those who cannot see it: for each kind, which changes let how many learn."""
    said = []
    for kind, of in result["summary"].items():
        counts = [
            f"{label} {of['learned'][arm]['all']}"
            for arm, label in _ARMS.items()
            if arm in of["learned"]
        ]
        said.append(f"{kind}, of {of['seeds']}: {', '.join(counts)}.")
    return "How many networks learn after a change. " + " ".join(said)
