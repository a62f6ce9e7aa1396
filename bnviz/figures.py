"""Templates of the figures: plotly dicts with fixed axes, empty where an output will be drawn.

Pure functions without a theme; a host adds `theme.template`. Traces are named by `uid`.
"""

import base64

import numpy as np
import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz import theme

__all__ = ["drift", "scale_shift"]


def _as_dict(fig: go.Figure) -> dict:
    """Plain JSON-able data, without plotly's default template."""
    data = fig.to_plotly_json()
    data["layout"].pop("template", None)
    return _plain(data)


def _plain(value):
    """Lists for arrays, also for those that plotly has packed as base64."""
    if isinstance(value, dict) and "bdata" in value:
        return np.frombuffer(base64.b64decode(value["bdata"]), dtype=value["dtype"]).tolist()
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value


def scale_shift(low: float, high: float, bins: int) -> dict:
    """Three histograms on one axis (before, normalised, after) above the sigmoid's response."""
    rows = (
        ("before", "before: z", theme.PLAIN),
        ("normalised", "normalised: x̂", theme.NEUTRAL),
        ("after", "after: y = γ x̂ + β", theme.BN),
    )
    fig = make_subplots(
        rows=4, cols=1, shared_xaxes=True, vertical_spacing=0.035, row_heights=[1, 1, 1, 1.25]
    )
    width = (high - low) / bins
    centres = np.round(low + width * (np.arange(bins) + 0.5), 6)
    for row, (uid, label, colour) in enumerate(rows, start=1):
        fig.add_bar(
            x=centres,
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
            y=[0.36] * 3,
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
            x=0.005,
            xref="x domain",
            y=1,
            yref="y domain",
            xanchor="left",
            yanchor="top",
            showarrow=False,
            row=row,
            col=1,
        )
        fig.update_yaxes(
            range=[0, 0.42],
            tickformat=".0%",
            tickvals=[0, 0.2, 0.4],
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
        x=0.005,
        xref="x domain",
        y=1,
        yref="y domain",
        xanchor="left",
        yanchor="top",
        showarrow=False,
        row=4,
        col=1,
    )
    fig.update_yaxes(range=[-0.05, 1.1], tickvals=[0, 0.5, 1], fixedrange=True, row=4, col=1)
    fig.update_xaxes(range=[low, high], fixedrange=True, dtick=2)
    fig.update_xaxes(title_text="value of the pre-activation", row=4, col=1)
    fig.update_layout(
        height=560, margin={"l": 44, "r": 12, "t": 8, "b": 44}, showlegend=False, bargap=0
    )
    return _as_dict(fig)


def drift(depth: int, low: float, high: float, bins: int) -> dict:
    """Two columns (without BN, with BN): a row for each layer, then loss and accuracy."""
    fig = go.Figure()
    columns = (
        ("plain", "without BN", theme.PLAIN, theme.PLAIN_SCALE, (0.0, 0.475)),
        ("bn", "with BN", theme.BN, theme.BN_SCALE, (0.525, 1.0)),
    )
    layers_bottom, gap = 0.335, 0.012
    height = (1 - layers_bottom - gap * (depth - 1)) / depth
    layout: dict = {"annotations": []}
    for c, (uid, label, colour, scale, (left, right)) in enumerate(columns):
        split = left + (right - left) * 0.8
        for i in range(depth):
            top = 1 - i * (height + gap)
            k = 2 * (c * depth + i) + 1  # axis numbers: heat k, now k + 1; both use y axis k
            heat, now = _suffix(k), _suffix(k + 1)
            _layer_row(fig, uid, i + 1, label, colour, scale, heat, now, (low, high, bins))
            layout[f"yaxis{heat}"] = {
                "domain": [top - height, top],
                "anchor": f"x{heat}",
                "range": [low, high],
                "tickvals": [-5, 0, 5],
                "showticklabels": c == 0,
                "fixedrange": True,
                "showgrid": True,
                "zeroline": True,
            }
            layout["annotations"].append(_note(f"layer {i + 1}", left + 0.005, top, "left", "top"))
            layout[f"xaxis{heat}"] = _time_axis([left, split], f"y{heat}", show=i == depth - 1)
            layout[f"xaxis{now}"] = {
                "domain": [split + 0.006, right],
                "anchor": f"y{heat}",
                "range": [0, 0.75],
                "showticklabels": False,
                "fixedrange": True,
                "showgrid": False,
                "zeroline": True,
            }
    k = 4 * depth + 1
    for c, (kind, title, span) in enumerate(
        (
            ("loss", "<b>loss</b>", [0, 3.2]),
            ("accuracy", "<b>accuracy</b>", [0, 1.02]),
        )
    ):
        axis, (left, right) = _suffix(k + c), columns[c][4]
        layout[f"xaxis{axis}"] = _time_axis([left + 0.0, right], f"y{axis}", show=True)
        layout[f"xaxis{axis}"]["title"] = {"text": "training step"}
        layout[f"yaxis{axis}"] = {
            "domain": [0, layers_bottom - 0.12],
            "anchor": f"x{axis}",
            "range": span,
            "fixedrange": True,
            "nticks": 4,
            "side": "left" if c == 0 else "right",
            **({"tickformat": ".0%", "tickvals": [0, 0.5, 1]} if c else {}),
        }
        _curves(fig, kind, columns, axis)
        layout["annotations"].append(_note(title, left, layers_bottom - 0.112, "left", "bottom"))
    for _, label, colour, _, (left, _) in columns:
        layout["annotations"].append(
            _note(f"<b>{label}</b>", left, 1.004, "left", "bottom", colour)
        )
    layout |= {
        "height": 760,
        "margin": {"l": 40, "r": 40, "t": 28, "b": 40},
        "showlegend": False,
    }
    fig.update_layout(layout)
    return _as_dict(fig)


def _suffix(k: int) -> str:
    """Axis 1 is called x, axis 2 x2, ..."""
    return "" if k == 1 else str(k)


def _time_axis(domain: list[float], anchor: str, show: bool) -> dict:
    return {
        "domain": domain,
        "anchor": anchor,
        "range": [0, 240],
        "showticklabels": show,
        "fixedrange": True,
        "showgrid": False,
        "zeroline": False,
        "nticks": 4,
        "tickangle": 0,
        "ticks": "outside" if show else "",
    }


def _note(text, x, y, xanchor, yanchor, colour=None) -> dict:
    font = {"font": {"color": colour, "size": 13}} if colour else {}
    return {
        "text": text,
        "x": x,
        "y": y,
        "xref": "paper",
        "yref": "paper",
        "xanchor": xanchor,
        "yanchor": yanchor,
        "showarrow": False,
        **font,
    }


def _layer_row(fig, uid, layer, label, colour, scale, heat, now, bins) -> None:
    low, high, n = bins
    width = (high - low) / n
    centres = np.round(low + width * (np.arange(n) + 0.5), 6)
    fig.add_heatmap(
        x=[],
        y=centres,
        z=[],
        uid=f"{uid}-{layer}-over-time",
        xaxis=f"x{heat}",
        yaxis=f"y{heat}",
        colorscale=scale,
        zmin=-2.2,
        zmax=0,
        showscale=False,
        name=f"layer {layer} {label}",
        hovertemplate="step %{x:.0f}, pre-activation %{y:.1f}<extra></extra>",
    )
    fig.add_scatter(
        x=np.zeros(n),
        y=centres,
        mode="lines",
        fill="tozerox",
        uid=f"{uid}-{layer}-now",
        xaxis=f"x{now}",
        yaxis=f"y{heat}",
        line={"color": colour, "width": 1.5, "shape": "linear"},
        name=f"layer {layer} {label}, now",
        hovertemplate="pre-activation %{y:.1f}: density %{x:.2f}<extra></extra>",
    )


def _curves(fig, kind, columns, axis) -> None:
    shown = ("loss",) if kind == "loss" else ("train", "test")
    for uid, label, colour, *_ in columns:
        for what in shown:
            fig.add_scatter(
                x=[],
                y=[],
                mode="lines",
                uid=f"{uid}-{what}",
                name=f"{what} {label}",
                xaxis=f"x{axis}",
                yaxis=f"y{axis}",
                line={
                    "color": colour,
                    "width": 1.2 if what == "train" else 2,
                    "dash": "dot" if what == "train" else "solid",
                },
                hovertemplate=f"step %{{x:.0f}}: %{{y:.2f}}<extra>{what} {label}</extra>",
            )
