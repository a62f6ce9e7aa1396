"""The answer of the experiment `convergence`, in two sentences, with its numbers filled in."""

from typing import Any

__all__ = ["answer"]

_WITHOUT = (
    "Without BN, {failed} of {runs} runs failed ({stuck} stuck, {oscillating} oscillating, "
    "{diverged} diverged), and {blind} of them ended blind: at least 90 % of the units of layer 5 "
    "give every image the same output, in {narrow} runs because the layer is narrow and in "
    "{saturated} because large steps threw it into saturation, and in {still} of the {blind} its "
    "distribution hardly moves any more (median drift over 5 steps of all that failed {late:.2g}, "
    "of those that learned {late_ok:.2g})."
)
_WITH = (
    "With BN, {failed} of {runs} runs failed ({stuck} stuck, {oscillating} oscillating, {diverged} "
    "diverged), at learning rates from {smallest_lr:g} on: layer 5 cannot get narrow (median "
    "spread {width:.2g}, without BN {width_other:.2g}), but the means of its units have been "
    "thrown {moved:.2g} away, {saturated} runs are saturated and blind, and only {still} of these "
    "lie still (median drift {late:.2g}, where it learned {late_ok:.2g})."
)


def answer(result: dict[str, Any]) -> tuple[str, str]:
    """What a network that does not converge looks like inside, without BN and with BN.

    Args:
        result: `load("convergence")`. The words are about sigmoids: what saturates and what is
            narrow reads otherwise with tanh or ReLU.

    >>> from bnviz.experiments import load
    >>> answer(load("convergence"))[0][:11]
    'Without BN,'
    """
    sentences = ((_WITHOUT, "plain"), (_WITH, "bn"))
    without, with_bn = (_sentence(words, result, net) for words, net in sentences)
    return without, with_bn


def _sentence(words: str, result: dict[str, Any], net: str) -> str:
    outcome, counts = (result["summary"][k] for k in ("outcome", "counts"))
    failed, learned = (outcome[net][name] for name in ("failed", "learned"))
    blind, saturated = failed["blind"], failed["blind_saturated"]
    return words.format(
        **counts[net],
        runs=sum(counts[net].values()),
        failed=failed["runs"],
        smallest_lr=failed["smallest_lr"],
        blind=blind,
        saturated=saturated,
        narrow=blind - saturated,
        still=failed["blind_still"],
        width=failed["width"][-1],
        width_other=outcome["plain"]["failed"]["width"][-1],
        moved=failed["moved"][-1],
        late=failed["late"][-1],
        late_ok=learned["late"][-1],
    )
