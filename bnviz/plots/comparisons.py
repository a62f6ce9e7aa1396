"""Stored experiments of the chapter on benefits that compare a change, a rate or a network."""

from math import log
from typing import Any

import plotly.graph_objects as go

from bnviz.experiments.changes import PAIRS
from bnviz.experiments.statistics import Effect, effect
from bnviz.figure import theme
from bnviz.plots.effects import effect_intervals

__all__ = ["CHANGES", "base_rates", "changes", "changes_on_photos", "coupling", "times_fewer"]

NETS = (("plain", "without BN", theme.PLAIN, "diamond"), ("bn", "with BN", theme.BN, "circle"))
_MOVES = {"mean": "its mean", "spread": "its spread", "value": "a single value"}
# what is done, in words -> in `changes.PAIRS`
_RATES = {
    "5 times the rate": "rate",
    "decay 5 times as fast": "decay",
    "decay 5 times as fast<br>at 5 times the rate": "decay at the larger rate",
    "both together": "rate and decay",
}
_OTHERS = {
    "Dropout, 10 %": "dropout 10",
    "Dropout, 50 %": "dropout 50",
    "L2, 0.003": "l2 30",
    "L2, 0.01": "l2 100",
    "response normalisation,<br>against its constant": "response",
    "fresh batches": "fresh",
    "distortions,<br>150 steps": "distortions, early",
    "distortions,<br>1,200 steps": "distortions",
}
CHANGES = {name.replace("<br>", " "): PAIRS[done] for name, done in {**_RATES, **_OTHERS}.items()}


def coupling(result: dict[str, Any]) -> go.Figure:
    """How far moments and values of layer 3 move, a mark for each seed.

    Args:
        result: `experiments.load("coupling")`.
    """
    fig = go.Figure()
    for k, (net, label, colour, symbol) in enumerate(NETS):
        rows = [r for r in result["rows"] if r["net"] == net]
        fig.add_scatter(
            x=[r[key] for key in _MOVES for r in rows],
            y=[i + 0.24 * (2 * k - 1) for i in range(len(_MOVES)) for _ in rows],
            mode="markers",
            name=label,
            marker={"color": colour, "size": 8, "opacity": 0.6,
                    "symbol": symbol},
            hovertemplate="%{x:.2g}<extra>" + label + "</extra>",
        )  # fmt: skip
    fig.update_xaxes(title_text="moves by, in its standard deviations", range=[-0.02, 0.5])
    fig.update_yaxes(tickvals=list(range(len(_MOVES))), ticktext=list(_MOVES.values()),
                     range=[len(_MOVES) - 0.4, -0.6], zeroline=False, showgrid=False)  # fmt: skip
    return _labelled(fig, 260, 110)


def changes(result: dict[str, Any], *, rates: bool = False) -> go.Figure:
    """What each change does to the test accuracy, with BN and without it.

    Args:
        result: `experiments.load("seven-changes")`.
        rates: those of the learning rate, whose effects are larger, in place of the others.
    """
    found: dict[tuple, list[float]] = {}
    for row in result["rows"]:
        found.setdefault((row["variant"], row["net"]), []).append(row["test"])
    rows = {
        name: {label: effect(found[after, net], found[before, net]) for net, label, *_ in NETS}
        for name, done in (_RATES if rates else _OTHERS).items()
        for before, after in (PAIRS[done],)
    }
    return effect_intervals(rows, "change of the test accuracy")


def changes_on_photos(result: dict[str, Any]) -> go.Figure:
    """The same for a VGG on CIFAR-10.

    Args:
        result: `experiments.load("vgg-changes")`.
    """
    rows = {
        name: {label: Effect(**found[net]) for net, label, *_ in NETS}
        for name, found in result["summary"]["effects"].items()
    }
    return effect_intervals(rows, "change of the test accuracy")


def times_fewer(result: dict[str, Any], budget: int) -> go.Figure:
    """Steps without BN over steps with it, to three accuracies, each side tuned to get there.

    Args:
        result: `experiments.load("steps-tuned")`.
        budget: steps at most, one of those stored.
    """
    rows: dict[str, dict[str, Effect]] = {}
    for activation in ("sigmoid", "tanh", "relu"):
        own = [r for r in result["rows"] if r["activation"] == activation]
        rows[activation] = {
            f"to {100 * target:.0f} %": _fewer(own, f"to_{100 * target:.0f}_within_{budget}")
            for target in result["settings"]["targets"]
        }
    fig = effect_intervals(rows, "times fewer steps with BN", factor=True, first=1)
    return fig.update_xaxes(tickvals=[0.5, 0.7, 1, 1.5, 2, 3, 5, 10])


def _fewer(rows: list[dict[str, Any]], column: str) -> Effect:
    plain, bn = ([log(r[column]) for r in rows if r["net"] == net] for net in ("plain", "bn"))
    return effect(plain, bn)


def base_rates(result: dict[str, Any]) -> go.Figure:
    """Times fewer steps than the plain net at a base rate: median, smallest and largest of seeds.

    Args:
        result: `experiments.load("steps-ratio")`.
    """
    fig, names = go.Figure(), []
    for base, runs in result["summary"]["by_base"].items():
        for run, found in runs.items():
            if run != "plain-x1":
                who = run.replace("-x", " at × ").replace("bn", "BN")
                names.append(f"{base.replace('-', ', ')}:<br>{who}")
                _ranges(fig, len(names) - 1, found["times_fewer"], run.startswith("bn"))
    fig.add_vline(x=1, line={"color": theme.NEUTRAL, "width": 1, "dash": "dash"})
    fig.update_xaxes(title_text="times fewer steps (none: not reached)", type="log",
                     range=[-0.2, 1.6], tickvals=[1, 2, 5, 10, 20])  # fmt: skip
    fig.update_yaxes(tickvals=list(range(len(names))), ticktext=names, zeroline=False,
                     range=[len(names) - 0.4, -0.6], showgrid=False)  # fmt: skip
    return _labelled(fig, 60 + 36 * len(names), 140)


def _ranges(fig, place: int, found: dict[str, Any], bn: bool) -> None:
    _, label, colour, symbol = NETS[bn]
    if found["n"]:
        middle, known = found["median"], {trace.name for trace in fig.data}
        fig.add_scatter(
            x=[middle], y=[place], mode="markers", name=label, showlegend=label not in known,
            marker={"color": colour, "size": 9, "symbol": symbol},
            error_x={"type": "data", "symmetric": False, "array": [found["max"] - middle],
                     "arrayminus": [middle - found["min"]], "width": 0, "thickness": 2},
            hovertemplate="%{x:.3g}<extra>" + label + "</extra>",
        )  # fmt: skip


def _labelled(fig, height: int, left: int) -> go.Figure:
    fig.update_xaxes(fixedrange=True)
    fig.update_yaxes(fixedrange=True)
    return fig.update_layout(
        template=theme.template("light"), height=height,
        margin={"l": left, "r": 12, "t": 40, "b": 46},
        legend={"orientation": "h", "x": 0, "y": 1.0, "yanchor": "bottom"},
    )  # fmt: skip
