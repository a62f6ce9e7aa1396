"""The chapter on placement: stored runs, and normalised maps of a shifted image."""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme
from bnviz.templates.placement import NETS

__all__ = ["accuracies", "flat_shares", "shifted_maps", "spreads"]

_LOWEST = 0.8  # of the axis; what lies below is drawn there


def accuracies(result: dict[str, Any]) -> go.Figure:
    """Test accuracy of every network, one row for each activation, the settings side by side.

    Args:
        result: `experiments.load("placement")`, or the like; a diverged run has no accuracy.
    """
    axis = {"range": [_LOWEST - 0.012, 1.01], "tickvals": [0.8, 0.9, 1], "tickformat": ".0%"}
    return _by_setting(result, "accuracy", axis, ".1%", lambda value: max(value or 0, _LOWEST))


def flat_shares(result: dict[str, Any]) -> go.Figure:
    """Share of values of the last hidden layer on the flat part of the activation, likewise."""
    axis = {"range": [-0.04, 1.04], "tickvals": [0, 0.5, 1], "tickformat": ".0%"}
    return _by_setting(result, "saturated", axis, ".0%")


def spreads(result: dict[str, Any]) -> go.Figure:
    """Standard deviation of what enters the activation of the last hidden layer, likewise."""
    axis = {"type": "log", "tickvals": [0.1, 1, 10], "range": [-1.2, 1.7]}
    return _by_setting(result, "in_spread", axis, ".2g")


def _by_setting(
    result: dict[str, Any],
    key: str,
    axis: dict[str, Any],
    said: str,
    drawn: Callable[[float | None], float | None] = lambda value: value,
) -> go.Figure:
    """A number of every run; `drawn` says where a value is drawn that the axis does not reach."""
    names = list(dict.fromkeys(row["activation"] for row in result["rows"]))
    fig = make_subplots(len(names), 1, vertical_spacing=0.13)
    for i, activation in enumerate(names, start=1):
        rows = [row for row in result["rows"] if row["activation"] == activation]
        settings = list(dict.fromkeys((row["rate"], row["scale"]) for row in rows))
        for k, (placement, label, colour, _, symbol) in enumerate(NETS):
            name = "none" if placement == "plain" else placement
            runs = [row for row in rows if row["placement"] == name]
            places = [settings.index((row["rate"], row["scale"])) for row in runs]
            fig.add_scatter(
                x=[at + 0.27 * (k - 1) + 0.04 * (row["seed"] - 2)
                   for at, row in zip(places, runs, strict=True)],
                y=[drawn(row[key]) for row in runs],
                customdata=[row[key] for row in runs],
                mode="markers",
                name=label,
                showlegend=i == 1,
                marker={"color": colour, "symbol": symbol, "size": 7},
                hovertemplate=f"%{{customdata:{said}}}<extra>{label}</extra>",
                row=i,
                col=1,
            )  # fmt: skip
        fig.update_xaxes(
            tickvals=list(range(len(settings))),
            ticktext=[f"{rate} rate<br>scale {scale:g}" for rate, scale in settings],
            range=[-0.5, len(settings) - 0.5],
            tickangle=0,
            row=i,
        )
        fig.add_annotation(_head(f"<b>{activation}</b>"), row=i, col=1)
    fig.update_xaxes(zeroline=False, showgrid=False, fixedrange=True)
    fig.update_yaxes(fixedrange=True, **axis)
    return fig.update_layout(
        template=theme.template("light"),
        height=560,
        margin={"l": 46, "r": 10, "t": 50, "b": 40},
        legend={"orientation": "h", "x": 0, "y": 1.05, "yanchor": "bottom"},
    )


def shifted_maps(maps: dict[str, tuple]) -> go.Figure:
    """Shift after BN, shift before BN, their difference: a row for each way to take statistics.

    Args:
        maps: name -> (shifted after, shifted before), two arrays or tensors of shape (h, w).
    """
    titles = ("after BN", "before BN", "difference")
    fig = make_subplots(len(maps), 3, horizontal_spacing=0.04, vertical_spacing=0.14)
    for i, (name, (after, before)) in enumerate(maps.items(), start=1):
        for j, values in enumerate((after, before, after - before), start=1):
            z = values.round(decimals=2).tolist()
            fig.add_heatmap(z=z, coloraxis="coloraxis", row=i, col=j,
                            hovertemplate="%{z:.1f}<extra></extra>")  # fmt: skip
        fig.update_xaxes(title_text=name, row=i, col=2)
    for j, title in enumerate(titles, start=1):
        shift = f"<b>{title}</b>" if title == "difference" else f"shift <b>{title}</b>"
        fig.add_annotation(_head(shift), row=1, col=j)
    bare = {"showticklabels": False, "showgrid": False, "zeroline": False, "ticks": "",
            "showline": True, "mirror": True}  # fmt: skip
    fig.update_yaxes(autorange="reversed", fixedrange=True, **bare)
    fig.update_xaxes(fixedrange=True, constrain="domain", **bare)
    return fig.update_layout(
        template=theme.template("light"),
        height=400,
        margin={"l": 10, "r": 10, "t": 26, "b": 30},
        coloraxis={
            "colorscale": theme.SIGNED_FULL_SCALE, "cmin": -4, "cmax": 4,
            "colorbar": {"thickness": 10, "title": {"text": "value", "font": {"size": 12}}},
        },
    )  # fmt: skip


def _head(text: str) -> dict[str, Any]:
    return {"text": text, "x": 0, "y": 1, "xref": "x domain", "yref": "y domain",
            "xanchor": "left", "yanchor": "bottom", "showarrow": False,
            "font": {"size": 12}}  # fmt: skip
