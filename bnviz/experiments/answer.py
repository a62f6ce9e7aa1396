"""The answer of the experiment `convergence`, in two sentences, with its numbers filled in."""

from typing import Any

__all__ = ["answer"]

_WITHOUT = (
    "Without BN, {failed} of {runs} runs failed ({stuck} stuck, {oscillating} oscillating, "
    "{diverged} diverged), and not because their distributions moved so much: in {blind} of them "
    "at least 90 % of the units of layer 5 ended up giving every image the same output, and in "
    "{still} of these the layer hardly moved any more (medians of all failed runs: spread "
    "{width:.2g}, drift over 5 steps {late:.2g}; of the runs that learned: {width_ok:.2g} and "
    "{late_ok:.2g})."
)
_WITH = (
    "With BN, {failed} of {runs} runs failed ({stuck} stuck, {oscillating} oscillating, {diverged} "
    "diverged), all at learning rates of {smallest_lr:g} and more: BN keeps layer 5 spread out "
    "({width:.2g}), but its mean has been thrown {moved:.2g} away, {saturated} of {blind} blind "
    "runs are saturated, and only {still} of these {blind} lie still (drift {late:.2g}, against "
    "{late_ok:.2g} where it learned)."
)


def answer(result: dict[str, Any], activation: str | None = None) -> tuple[str, str]:
    """What a network that does not converge looks like inside, without BN and with BN.

    Args:
        result: `load("convergence")` or `load("convergence-tanh-relu")`.
        activation: "tanh" or "relu" for the latter.

    >>> from bnviz.experiments import load
    >>> answer(load("convergence"))[0][:11]
    'Without BN,'
    """
    return _sentence(_WITHOUT, result, activation, "plain"), _sentence(
        _WITH, result, activation, "bn"
    )


def _sentence(words: str, result: dict[str, Any], activation: str | None, net: str) -> str:
    summary, key = result["summary"], net if activation is None else f"{activation}-{net}"
    failed, learned = (summary["outcome"][key][name] for name in ("failed", "learned"))
    counts = summary["counts"][key]
    last = {name: failed[name][-1] for name in ("width", "late", "moved")}
    fine = {f"{name}_ok": learned[name][-1] for name in ("width", "late")}
    kept = {k: failed[k] for k in ("blind", "still", "saturated", "smallest_lr")}
    return words.format(
        failed=failed["runs"], runs=sum(counts.values()), **counts, **last, **fine, **kept
    )
