"""The template of `moving-average`."""

import numpy as np
import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, heading, note, panel, place, sheet, suffix

__all__ = ["moving_average"]

_PANELS = (  # heading, bottom and top, range of the axis
    ("mean", (0.645, 0.98), [-1, 5]),
    ("variance", (0.255, 0.59), [0, 8]),
    ("weight of each batch at the end", (0.0, 0.17), [0, 1.08]),
)
_TRUTH = "#d1495b"  # what nobody sees in practice; apart from the grey of the batches
_LABELS = (
    ("● one batch", 0.0, 1.04, theme.NEUTRAL),
    ("╍ truth", 0.345, 1.04, _TRUTH),
    ("━ exponential", 0.0, 1.0, theme.BN),
    ("┅ cumulative", 0.45, 1.0, theme.THIRD),
    ("◆ population", 1.0, 1.04, theme.SECOND),
)


def moving_average(batches: int, fresh: int) -> dict:
    """Mean above variance, over the stream and the fresh batches after it; then the weights."""
    fig = go.Figure()
    end = batches + fresh
    stream, after = np.arange(1, batches + 1), np.array([batches, end])
    everything = np.arange(1, end + 1)
    for k, name in enumerate(("mean", "var"), start=1):
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
                **place(k),
            )
    fig.add_scatter(
        x=stream,
        y=np.zeros(batches),
        mode="lines",
        fill="tozeroy",
        uid="weights",
        name="weight",
        line={"color": theme.BN, "width": 1.5},
        hovertemplate="batch %{x}: %{y:.2f} of the newest<extra></extra>",
        **place(3),
    )
    fig.update_layout(_layout(batches, end))
    return as_dict(fig)


def _dots() -> dict:
    return {"color": theme.NEUTRAL, "size": 4, "opacity": 0.55}


def _diamonds() -> dict:
    marker = {"color": theme.SECOND, "size": 10, "symbol": "diamond"}
    return {"mode": "lines+markers", "marker": marker, "line": {"color": theme.SECOND, "width": 2}}


def _layout(batches: int, end: int) -> dict:
    time = {"range": [0, end + 4], "tickvals": [1, 50, 100, 150, 200], "showgrid": False}
    layout: dict = {"annotations": [], "shapes": [_line(batches, k) for k in (1, 2)]}
    for k, (text, up, span) in enumerate(_PANELS, start=1):
        layout |= panel(k, None, up, time, {"range": span, "nticks": 5})
        # the weights may fill their panel, so these words stand above it
        words = (
            heading(text, 0, up[1])
            if k == 3
            else note(f"<b>{text}</b>", 0.005, up[1], "left", "top")
        )
        layout["annotations"].append(words)
    layout["xaxis3"]["title"] = {"text": "batch of the stream"}
    layout["annotations"].append(note("training ends", batches / (end + 4), 0.98, "right", "top"))
    layout["annotations"] += [
        note(f"<b>{text}</b>", x, y, "right" if x == 1 else "left", "bottom", colour)
        for text, x, y, colour in _LABELS
    ]
    return layout | sheet(600, 36, 10, 44, 44)


def _line(x: float, k: int) -> dict:
    """Where training ends."""
    return {
        "type": "line",
        "xref": f"x{suffix(k)}",
        "yref": f"y{suffix(k)} domain",
        "x0": x,
        "x1": x,
        "y0": 0,
        "y1": 1,
        "line": {"color": theme.NEUTRAL, "width": 1, "dash": "dot"},
    }
