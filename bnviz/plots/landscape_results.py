"""Stored experiments on smoothness, plateaus and regularisation: every seed is a mark."""

from statistics import median
from typing import Any

import plotly.graph_objects as go
from plotly.subplots import make_subplots

from bnviz.figure import theme

__all__ = ["plateau_shares", "regularisation_gaps", "smoothness"]

_NETS = (("plain", "without BN", theme.PLAIN, "circle"), ("bn", "with BN", theme.BN, "square"))
_KINDS = (
    ("plain", "plain", theme.PLAIN, "circle"), ("bn", "BN", theme.BN, "square"),
    ("dropout", "Dropout", theme.SECOND, "diamond"), ("both", "both", theme.THIRD, "x"),
)  # fmt: skip


def smoothness(results: list[dict[str, Any]], measure: str = "beta") -> go.Figure:
    """One measure late in training, both networks side by side, for every setting and seed.

    Args:
        results: stored results of the landscape experiments.
        measure: "beta", "change" or "range".
    """
    fig = go.Figure()
    places: list[str] = []
    for result in results:
        for setting in _settings(result["rows"]):
            for k, net in enumerate(_NETS):
                rows = [r for r in result["rows"] if _setting(r) == setting and r["net"] == net[0]]
                values = [r[f"{measure}_late"] for r in rows]
                _seeds(fig, net, len(places) + 0.24 * (2 * k - 1), values, not places)
            places.append(f"{_SHORT[result['name']]}<br>{setting}")
    _across(fig, places)
    _lie_down(fig)
    return fig.update_xaxes(type="log", exponentformat="power", dtick=1, title=_TITLES[measure])


_SHORT = {"landscape-mlp": "MLP", "landscape-cnn": "CNN", "landscape-linear": "25 matrices"}
_TITLES = {
    "beta": "effective β-smoothness", "change": "largest change of the gradient",
    "range": "spread of the loss on the line",
}  # fmt: skip


def _setting(row: dict[str, Any]) -> str:
    return row["setting"] if "setting" in row else f"lr {row['lr']:g}"


def _settings(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(_setting(row) for row in rows))


def plateau_shares(result: dict[str, Any]) -> go.Figure:
    """Share of plateaus in the slices, both networks side by side.

    Args:
        result: `experiments.load("plateaus")`.
    """
    fig, places = go.Figure(), _settings(result["rows"])
    for i, setting in enumerate(places):
        for k, net in enumerate(_NETS):
            rows = [r for r in result["rows"] if (r["setting"], r["net"]) == (setting, net[0])]
            _seeds(fig, net, i + 0.24 * (2 * k - 1), [r["share"] for r in rows], i == 0)
    _across(fig, [place.replace(", ", "<br>") for place in places])
    return fig.update_yaxes(
        title_text="share of the slice", tickformat=".0%", range=[0, 0.62], fixedrange=True
    )


def regularisation_gaps(result: dict[str, Any]) -> go.Figure:
    """Test accuracy (left) and gap of the losses (right), by batch size, for the four kinds.

    Args:
        result: `experiments.load("regularisation")`.
    """
    titles = ("<b>test accuracy</b>", "<b>gap of the losses</b>")
    fig = make_subplots(1, 2, subplot_titles=titles, horizontal_spacing=0.14)
    batches = list(dict.fromkeys(row["batch"] for row in result["rows"]))
    for i, batch in enumerate(batches):
        for k, kind in enumerate(_KINDS):
            lr = result["summary"]["by_kind"][f"{kind[0]}, batch {batch}"]["lr"]
            wanted = (kind[0], batch, lr)
            rows = [r for r in result["rows"] if (r["kind"], r["batch"], r["lr"]) == wanted]
            at = i + 0.2 * (k - 1.5)
            _seeds(fig, kind, at, [r["test"] for r in rows], i == 0, (1, 1))
            gaps = [r["test_loss"] - r["train_loss"] for r in rows]
            _seeds(fig, kind, at, gaps, False, (1, 2))
    _across(fig, [str(batch) for batch in batches])
    fig.update_annotations(font_size=13)
    fig.update_xaxes(title_text="batch size (150: all)")
    fig.update_yaxes(tickformat=".0%", range=[0.82, 0.955], fixedrange=True, col=1)
    return fig.update_yaxes(range=[0, 0.65], fixedrange=True, col=2)


def _seeds(fig, kind, at: float, values: list, legend: bool, cell=(None, None)) -> None:
    """A mark for every seed and a bar at the median; a run that did not survive has no mark."""
    name, label, colour, symbol = kind
    known = [v for v in values if v is not None]
    place = {"row": cell[0], "col": cell[1]} if cell[0] else {}
    fig.add_scatter(
        x=[at] * len(known), y=known, mode="markers", name=label, legendgroup=name,
        showlegend=legend, marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.6},
        hovertemplate="%{y:.3g}<extra>" + label + "</extra>", **place,
    )  # fmt: skip
    if known:
        fig.add_scatter(
            x=[at - 0.09, at + 0.09], y=[median(known)] * 2, mode="lines", legendgroup=name,
            showlegend=False, line={"color": colour, "width": 3}, hoverinfo="skip", **place,
        )  # fmt: skip


def _lie_down(fig) -> None:
    """Swap the axes: many long names fit below each other, on a phone, too."""
    for trace in fig.data:
        hover = (trace.hovertemplate or "").replace("%{y", "%{x") or None
        trace.update(x=trace.y, y=trace.x, hovertemplate=hover)
    along = fig.layout.xaxis.to_plotly_json()
    fig.layout.xaxis = {"fixedrange": True, "tickangle": 0}
    fig.update_yaxes(**along | {"range": along["range"][::-1]})
    fig.update_layout(height=440, margin={"l": 84, "t": 40, "b": 44}, legend_y=1.0)


def _across(fig, places: list[str]) -> None:
    ticks = list(range(len(places)))
    fig.update_xaxes(tickvals=ticks, ticktext=places, range=[-0.6, len(places) - 0.4])
    fig.update_xaxes(fixedrange=True, showgrid=False, zeroline=False)
    fig.update_layout(
        template=theme.template("light"), height=400,
        margin={"l": 60, "r": 10, "t": 56, "b": 60},
        legend={"orientation": "h", "x": 0, "y": 1.1, "yanchor": "bottom"},
    )  # fmt: skip
