"""The template of `moving-average`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note

__all__ = ["moving_average"]

_PANELS = {"mean": (0.645, 0.98), "var": (0.255, 0.59), "weights": (0.0, 0.17)}
_TRUTH = "#d1495b"  # what nobody sees in practice; apart from the grey of the batches
_LABELS = (
    ("● one batch", 0.0, 1.04, theme.NEUTRAL),
    ("╍ truth", 0.345, 1.04, _TRUTH),
    ("━ exponential", 0.0, 1.0, theme.BN),
    ("┅ cumulative", 0.345, 1.0, theme.THIRD),
    ("◆ population", 1.0, 1.0, theme.SECOND),
)


def moving_average(batches: int, fresh: int) -> dict:
    """Mean above variance, over the stream and the fresh batches after it; then the weights."""
    fig = go.Figure()
    end = batches + fresh
    stream, after = np.arange(1, batches + 1), np.array([batches, end])
    everything = np.arange(1, end + 1)
    for k, name in enumerate(("mean", "var"), start=1):
        place = {"xaxis": f"x{k if k > 1 else ''}", "yaxis": f"y{k if k > 1 else ''}"}
        for uid, x, style in (
            ("batch", everything, {"mode": "markers", "marker": _dots()}),
            ("true", everything, {"line": {"color": _TRUTH, "width": 2, "dash": "dash"}}),
            ("cumulative", stream, {"line": {"color": theme.THIRD, "width": 2, "dash": "dot"}}),
            ("exponential", stream, {"line": {"color": theme.BN, "width": 2.5}}),
            ("population", after, _diamonds()),
        ):
            fig.add_scatter(
                x=x,
                y=np.zeros(len(x)),
                uid=f"{uid}-{name}",
                name=uid,
                hovertemplate=f"batch %{{x}}: %{{y:.2f}}<extra>{uid}</extra>",
                **{"mode": "lines", **style},
                **place,
            )
    fig.add_scatter(
        x=stream,
        y=np.zeros(batches),
        mode="lines",
        fill="tozeroy",
        uid="weights",
        name="weight",
        xaxis="x3",
        yaxis="y3",
        line={"color": theme.BN, "width": 1.5},
        hovertemplate="batch %{x}: %{y:.2f} of the newest<extra></extra>",
    )
    fig.update_layout(_layout(batches, end))
    return as_dict(fig)


def _dots() -> dict:
    return {"color": theme.NEUTRAL, "size": 4, "opacity": 0.55}


def _diamonds() -> dict:
    marker = {"color": theme.SECOND, "size": 10, "symbol": "diamond"}
    return {"mode": "lines+markers", "marker": marker, "line": {"color": theme.SECOND, "width": 2}}


def _layout(batches: int, end: int) -> dict:
    spans = {"mean": [-1, 5], "var": [0, 8], "weights": [0, 1.08]}
    titles = {
        "mean": "<b>mean</b>",
        "var": "<b>variance</b>",
        "weights": "<b>weight of each batch at the end</b>",
    }
    layout: dict = {"annotations": [], "shapes": []}
    for k, (name, (bottom, top)) in enumerate(_PANELS.items(), start=1):
        n = k if k > 1 else ""
        layout[f"xaxis{n}"] = {
            "range": [0, end + 4],
            "anchor": f"y{n}",
            "tickvals": [1, 50, 100, 150, 200],
            "fixedrange": True,
            "showgrid": False,
        }
        layout[f"yaxis{n}"] = {
            "range": spans[name],
            "domain": [bottom, top],
            "anchor": f"x{n}",
            "nticks": 5,
            "fixedrange": True,
        }
        x, side = (
            (0, "bottom") if name == "weights" else (0.005, "top")
        )  # they may fill their panel
        layout["annotations"].append(note(titles[name], x, top, "left", side))
        if name != "weights":
            layout["shapes"].append(_line(batches, n))
    layout["xaxis3"]["title"] = {"text": "batch of the stream"}
    layout["annotations"].append(note("training ends", batches / (end + 4), 0.98, "right", "top"))
    layout["annotations"] += [
        note(f"<b>{text}</b>", x, y, "right" if x == 1 else "left", "bottom", colour)
        for text, x, y, colour in _LABELS
    ]
    return layout | {
        "height": 600,
        "margin": {"l": 36, "r": 10, "t": 44, "b": 44},
        "showlegend": False,
    }


def _line(x: float, n: int | str) -> dict:
    """Where training ends."""
    return {
        "type": "line",
        "xref": f"x{n}",
        "yref": f"y{n} domain",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "line": {"color": theme.NEUTRAL, "width": 1, "dash": "dot"},
    }
