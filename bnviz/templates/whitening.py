"""The template of `whitening`."""

import plotly.graph_objects as go

from bnviz.figure import theme
from bnviz.templates.parts import as_dict, note, panel, place, sheet, table

__all__ = ["whitening"]

_NAMES = ["x₁", "x₂"]
_SHAPES = ["diamond", "square", "triangle-up"]


def whitening() -> dict:
    """A cloud in the plane, and below it two covariance matrices as tables."""
    fig = go.Figure()
    _dots(fig, "raw", {"size": 4, "color": theme.NEUTRAL, "opacity": 0.35}, "as it comes")
    _dots(fig, "now", {"size": 5, "color": theme.THIRD, "opacity": 0.6}, "now")
    for uid, width in (("ellipse", 2), ("long", 3), ("short", 3)):
        line = {"color": theme.THIRD, "width": width}
        fig.add_scatter(x=[], y=[], mode="lines", uid=uid, line=line, hoverinfo="skip")
    for k, shape in enumerate(_SHAPES):
        start = {"size": 9, "color": theme.SECOND, "symbol": f"{shape}-open"}
        _dots(fig, f"start-{k}", start, "a marked point, as it comes")
        marked = {"size": 11, "color": theme.SECOND, "symbol": shape}
        _dots(fig, f"marked-{k}", marked, "a marked point, now")
    for k, uid in ((2, "raw"), (3, "now")):
        fig.add_heatmap(
            x=_NAMES,
            y=_NAMES[::-1],
            z=[[0.0, 0.0], [0.0, 0.0]],
            uid=f"{uid}-table",
            **table(5),
            **place(k),
            hovertemplate="%{y}, %{x}: %{z:.3f}<extra></extra>",
        )
    fig.update_layout(_layout())
    return as_dict(fig)


def _dots(fig: go.Figure, uid: str, marker: dict, hover: str) -> None:
    template = f"{hover}: %{{x:.2f}}, %{{y:.2f}}<extra></extra>"
    fig.add_scatter(x=[], y=[], mode="markers", uid=uid, marker=marker, hovertemplate=template)


def _layout() -> dict:
    square = {"constrain": "domain", "dtick": 2}
    x = {"title": "x₁", "range": [-6, 8], **square}
    y = {"title": "x₂", "range": [-6, 6], "scaleanchor": "x", **square}
    cells = {"range": [-0.5, 1.5], "type": "category", "showgrid": False, "ticks": ""}
    notes = [
        note("<b>covariance, raw</b>", 0.26, 0.215, "center", "bottom", theme.NEUTRAL),
        note("<b>covariance, now</b>", 0.78, 0.215, "center", "bottom", theme.THIRD),
    ]
    return {
        **panel(1, [0, 1], [0.36, 1], x, y),
        **panel(2, [0.06, 0.06 + 0.4], [0, 0.21], cells, cells | {"showticklabels": True}),
        **panel(3, [0.58, 0.58 + 0.4], [0, 0.21], cells, cells | {"showticklabels": False}),
        **sheet(520, 40, 8, 8, 26),
        "annotations": notes,
    }
