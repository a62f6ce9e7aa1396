"""Stored experiments on smoothness and plateaus: every seed is a mark."""

from math import log
from statistics import median
from typing import Any

import plotly.graph_objects as go

from bnviz.experiments.statistics import Effect, effect
from bnviz.figure import theme
from bnviz.plots.effects import effect_intervals

__all__ = ["contest_effects", "edge_products", "plateau_shares", "smoothness", "times_smaller"]

_NETS = (("plain", "without BN", theme.PLAIN, "circle"), ("bn", "with BN", theme.BN, "square"))


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


_SHORT = {
    "landscape-mlp": "MLP",
    "landscape-cnn": "CNN",
    "landscape-linear": "25 matrices",
    "landscape-linear-long": "25 matrices,<br>10,000 steps",
}
_TITLES = {
    "beta": "effective β-smoothness", "change": "largest change of the gradient",
    "range": "spread of the loss on the line",
}  # fmt: skip


def _setting(row: dict[str, Any]) -> str:
    return row["setting"] if "setting" in row else f"lr {row['lr']:g}"


def _settings(rows: list[dict[str, Any]]) -> list[str]:
    return list(dict.fromkeys(_setting(row) for row in rows))


def times_smaller(results: list[dict[str, Any]]) -> go.Figure:
    """How many times smaller each measure is with BN, late in training, over pairs of seeds.

    Only seeds in which both runs stayed finite make a pair.

    Args:
        results: stored results of the landscape experiments.
    """
    found: dict[str, dict[str, Effect]] = {}
    for result in results:
        for setting in _settings(result["rows"]):
            own = [r for r in result["rows"] if _setting(r) == setting]
            found[f"{_SHORT[result['name']]}, {setting}"] = {
                label: _ratio(own, f"{measure}_late") for measure, label in _RATIOS
            }
    fig = effect_intervals(found, "times smaller with BN", factor=True, first=1)
    fig.add_annotation(text="smoother with BN →", x=0, xref="x", y=-0.5, xanchor="left",
                       showarrow=False)  # fmt: skip
    return fig.update_xaxes(dtick=1, exponentformat="power")


_RATIOS = (
    ("change", "change of the gradient"), ("relative_change", "relative change"), ("beta", "β"),
)  # fmt: skip


def _ratio(rows: list[dict[str, Any]], key: str) -> Effect:
    plain, bn = ({r["seed"]: r[key] for r in rows if r["net"] == n[0]} for n in _NETS)
    both = [seed for seed in plain if plain[seed] and bn[seed]]
    return effect([log(plain[s]) for s in both], [log(bn[s]) for s in both])


def edge_products(results: list[dict[str, Any]]) -> go.Figure:
    """Learning rate times sharpness after half of the run, both networks, every seed a mark.

    Args:
        results: `experiments.load("edges")`, and others of its kind.
    """
    fig, places = go.Figure(), []
    for result in results:
        rates = result["grid"]["rate"]
        for setting in result["grid"]["setting"]:
            of = result["settings"]["settings"][setting]["rates"]
            for rate, lr in zip(rates, of, strict=True):
                own = [r for r in result["rows"] if (r["setting"], r["rate"]) == (setting, rate)]
                for k, net in enumerate(_NETS):
                    tops = [r["top"][1] for r in own if r["net"] == net[0]]
                    # a negative eigenvalue, or one of 0 where nothing is learned, has no logarithm
                    values = [top if top and top > 0.01 else None for top in tops]
                    _seeds(fig, net, len(places) + 0.2 * (2 * k - 1), values, not places)
                places.append(f"{setting}, {lr:g}")
    _across(fig, places)
    _lie_down(fig, 100 + 36 * len(places))
    fig.add_vline(x=2, line={"color": theme.NEUTRAL, "width": 2, "dash": "dash"})
    fig.update_xaxes(type="log", range=[-2.1, 2.3], tickvals=[0.01, 0.1, 1, 2, 10, 100])
    return fig.update_layout(margin_l=120).update_xaxes(title="learning rate × sharpness")


def plateau_shares(result: dict[str, Any], planes: tuple[str, ...]) -> go.Figure:
    """Share of plateaus in some planes, both networks side by side; no mark, nothing learned.

    Args:
        result: `experiments.load("plateaus")`.
        planes: some of `settings.planes`.
    """
    fig, places = go.Figure(), _settings(result["rows"])
    numbers = [result["settings"]["planes"].index(plane) for plane in planes]
    for i, setting in enumerate(places):
        for k, net in enumerate(_NETS):
            rows = [r for r in result["rows"] if (r["setting"], r["net"]) == (setting, net[0])]
            found = [r["planes"][n] for r in rows for n in numbers]
            values = [plane[0] for plane in found if plane]
            _seeds(fig, net, i + 0.24 * (2 * k - 1), values, i == 0)
    _across(fig, [place.replace(", ", "<br>") for place in places])
    return fig.update_yaxes(
        title_text="share of the plane", tickformat=".0%", range=[-0.03, 1.03], fixedrange=True
    )


def contest_effects(results: dict[str, dict[str, Any]], others: dict[str, str]) -> go.Figure:
    """The first contender of some contests against others, for half, once and twice the steps.

    Args:
        results: name on the axis -> stored contest; each has all the others.
        others: contender -> what the comparison is called; one after the other, contests within.
    """
    found = {
        f"{label},<br>{place}": {
            budget: Effect(**e) for budget, e in result["summary"]["effects"][other].items()
        }
        for other, label in others.items()
        for place, result in results.items()
    }
    return effect_intervals(found, "difference in test accuracy", first=1)


def _seeds(fig, kind, at: float, values: list, legend: bool) -> None:
    """A mark for every seed and a bar at the median; a run that did not survive has no mark."""
    name, label, colour, symbol = kind
    known = [v for v in values if v is not None]
    fig.add_scatter(
        x=[at] * len(known), y=known, mode="markers", name=label, legendgroup=name,
        showlegend=legend, marker={"color": colour, "symbol": symbol, "size": 7, "opacity": 0.6},
        hovertemplate="%{y:.3g}<extra>" + label + "</extra>",
    )  # fmt: skip
    if known:
        fig.add_scatter(
            x=[at - 0.09, at + 0.09], y=[median(known)] * 2, mode="lines", legendgroup=name,
            showlegend=False, line={"color": colour, "width": 3}, hoverinfo="skip",
        )  # fmt: skip


def _lie_down(fig, height: int = 440) -> None:
    """Swap the axes: many long names fit below each other, on a phone, too."""
    for trace in fig.data:
        hover = (trace.hovertemplate or "").replace("%{y", "%{x") or None
        trace.update(x=trace.y, y=trace.x, hovertemplate=hover)
    along = fig.layout.xaxis.to_plotly_json()
    fig.layout.xaxis = {"fixedrange": True, "tickangle": 0}
    fig.update_yaxes(**along | {"range": along["range"][::-1]})
    fig.update_layout(height=height, margin={"l": 84, "t": 40, "b": 44}, legend_y=1.0)


def _across(fig, places: list[str]) -> None:
    ticks = list(range(len(places)))
    fig.update_xaxes(tickvals=ticks, ticktext=places, range=[-0.6, len(places) - 0.4])
    fig.update_xaxes(fixedrange=True, showgrid=False, zeroline=False)
    fig.update_layout(
        template=theme.template("light"), height=400,
        margin={"l": 60, "r": 10, "t": 56, "b": 60},
        legend={"orientation": "h", "x": 0, "y": 1.1, "yanchor": "bottom"},
    )  # fmt: skip
