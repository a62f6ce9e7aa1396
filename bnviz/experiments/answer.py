"""The answer to the open question, in three sentences, with its numbers filled in."""

from collections.abc import Iterable, Mapping
from typing import Any

from bnviz.experiments.failures import KINDS

__all__ = ["answer"]

_FADED = (
    "Faded: {faded} of {runs} plain runs end with a last hidden layer that lies where its "
    "activation has slope, yet says the same for every image. What they lack is spread: of "
    "{seeds} such sigmoid networks {spread} learn once the spread is restored, {on} if they just "
    "go on, {centre} if the means of the units are moved back, and {held} if these means are held "
    "still from the start."
)
_DEAD = (
    "Thrown, then dead: {dead} plain runs were carried early onto the flat part of the activation, "
    "and lie still there later (median drift over 5 steps with sigmoid, tanh and ReLU: {early} "
    "early, {late} late). At the same learning rate nothing that leaves them without BN revives "
    "more than {same} of {seeds}; at a tenth of it, restoring the spread, or spread and means, "
    "revives up to {sigmoid} sigmoid, {tanh} tanh and {relu} ReLU networks, the tenth alone "
    "{slower}. Means that are held from the start save {held_tanh} tanh networks, {held_sigmoid} "
    "with sigmoids and {held_relu} with ReLU."
)
_BN = (
    "With BN {faded_bn} of {runs_bn} runs fade. They fail from a learning rate of {rate:g} on, "
    "thrown: {moving} still move or still tell images apart, {dead_bn} are dead, {diverged} "
    "diverged. At a tenth of the rate γ = 1 and β = 0 revive {reset_sigmoid} sigmoid, "
    "{reset_relu} ReLU and {reset_tanh} tanh networks ({head_tanh} with the head of the start), "
    "the tenth alone {slow_sigmoid}, {slow_relu} and {slow_tanh}."
)


def answer(kinds: Mapping[str, dict[str, Any]], revived: dict[str, Any]) -> tuple[str, str, str]:
    """What networks look like that do not converge, and what shows the cause: a sentence a kind.

    Args:
        kinds: activation -> `load("failures-ACTIVATION")`, all three.
        revived: `load("interventions")`.

    >>> from bnviz.experiments import load
    >>> names = ("sigmoid", "tanh", "relu")
    >>> kinds = {name: load(f"failures-{name}") for name in names}
    >>> [s.split(":")[0] for s in answer(kinds, load("interventions"))[:2]]
    ['Faded', 'Thrown, then dead']
    """
    plain, bn = (_counts(kinds, net) for net in ("plain", "bn"))
    learned = {
        name: {arm: counts["all"] for arm, counts in found["learned"].items()}
        for name, found in revived["summary"].items()
    }
    seeds = min(found["seeds"] for found in revived["summary"].values())
    return (
        _faded(plain, learned, seeds),
        _dead(kinds, plain, learned, seeds),
        _bn(kinds, bn, learned),
    )


def _counts(kinds: Mapping[str, dict[str, Any]], net: str) -> dict[str, int]:
    """Runs of each kind, over all activations."""
    every = [result["summary"][net]["counts"] for result in kinds.values()]
    return {kind: sum(counts[kind] for counts in every) for kind in KINDS}


def _faded(plain: dict[str, int], learned: dict[str, dict[str, int]], seeds: int) -> str:
    arms = learned["faded sigmoid"]
    return _FADED.format(
        faded=plain["faded"],
        runs=sum(plain.values()),
        seeds=seeds,
        spread=arms["spread"],
        on=arms["goes on"],
        centre=arms["centre"],
        held=arms["held"],
    )


def _dead(kinds, plain: dict[str, int], learned: dict[str, dict[str, int]], seeds: int) -> str:
    looks = [result["summary"]["plain"]["looks"]["thrown, dead"] for result in kinds.values()]
    dead = {name: learned[f"dead {name}"] for name in ("sigmoid", "tanh", "ReLU")}
    best = {n: max(a["spread, slower"], a["both, slower"]) for n, a in dead.items()}
    return _DEAD.format(
        dead=plain["thrown, dead"],
        early=_and(f"{of['early']:.2g}" for of in looks),
        late=_and(f"{of['late']:.1g}" for of in looks),
        seeds=seeds,
        same=max(a[arm] for a in dead.values() for arm in ("goes on", "spread", "centre", "both")),
        sigmoid=best["sigmoid"],
        tanh=best["tanh"],
        relu=best["ReLU"],
        slower=_and(str(a["goes on, slower"]) for a in dead.values()),
        held_tanh=dead["tanh"]["held"],
        held_sigmoid=dead["sigmoid"]["held"],
        held_relu=dead["ReLU"]["held"],
    )


def _and(words: Iterable[str]) -> str:
    """
    >>> _and(["one", "two", "three"])
    'one, two and three'
    """
    *first, last = words
    return f"{', '.join(first)} and {last}"


def _bn(kinds, bn: dict[str, int], learned: dict[str, dict[str, int]]) -> str:
    rates = [
        by["lr"]
        for result in kinds.values()
        for by in result["summary"]["bn"]["by_rate"]
        if any(kind.startswith("thrown") for kind in by)
    ]
    of = {name: learned[f"BN {name}"] for name in ("sigmoid", "tanh", "ReLU")}
    return _BN.format(
        faded_bn=bn["faded"],
        runs_bn=sum(bn.values()),
        rate=min(rates),
        moving=bn["thrown, moving"],
        dead_bn=bn["thrown, dead"],
        diverged=bn["diverged"],
        reset_sigmoid=of["sigmoid"]["reset, slower"],
        reset_relu=of["ReLU"]["reset, slower"],
        reset_tanh=of["tanh"]["reset, slower"],
        head_tanh=of["tanh"]["reset and head, slower"],
        slow_sigmoid=of["sigmoid"]["goes on, slower"],
        slow_relu=of["ReLU"]["goes on, slower"],
        slow_tanh=of["tanh"]["goes on, slower"],
    )
