"""What of a result on small images carried over to the papers' own data, in words with numbers."""

from statistics import median
from typing import Any

from bnviz.experiments.changes import PAIRS
from bnviz.experiments.experiment import Row
from bnviz.experiments.statistics import Effect, effect, steps_to

__all__ = ["changes", "figure_1", "linear", "steps"]

LEVEL = 0.9
PUBLISHED = 14  # times fewer steps, on ImageNet
COARSE = 0.5  # accuracy on CIFAR-10 that both sides reach
_NETS = ("plain", "bn")
EARLY = 100  # steps, in both results
# a change on photos -> the same on the digits, of `changes.PAIRS`
ON_DIGITS = {
    "rate times 5": "rate",
    "Dropout 50 % in the head": "dropout 50",
    "decay five times as fast": "decay",
    "response normalisation": "response",
    "fresh batches": "fresh",
    "photometric distortions": "distortions",
}


def figure_1(small: dict[str, Any], large: dict[str, Any]) -> list[str]:
    """Two sentences on Ioffe and Szegedy's figure 1: speed and end, then the unit's percentiles.

    Each begins with "Carried over", if the sign is the same at both rates and for all seeds of both
    results, or else with what differs.

    Args:
        small: `experiments.load("ioffe-figure-1")`.
        large: `experiments.load("ioffe-mnist")`.
    """
    rates = sorted({r["lr"] for r in small["rows"]} & {r["lr"] for r in large["rows"]})
    fewer = [[_times_fewer(result, lr) for lr in rates] for result in (small, large)]
    ends = [[_ahead(result, lr) for lr in rates] for result in (small, large)]
    same = all(low > 1 for part in fewer for low, _ in part)
    speed = (
        f"{'Carried over' if same else 'Not the same in all seeds'}: at rates of "
        f"{' and '.join(f'{lr:g}' for lr in rates)}, BN needs {_span(fewer[1])} times fewer steps "
        f"to {LEVEL:.0%} on MNIST, {_span(fewer[0])} times on the digits; in the end it is ahead "
        f"by {_span(ends[1], 100)} points on MNIST, by {_span(ends[0], 100)} on the digits"
        f"{'' if all(low > 0 for part in ends for low, _ in part) else ', so not in every seed'}."
    )
    apart = [[_apart(result, lr) for lr in rates] for result in (small, large)]
    together = all(plain < bn for part in apart for plain, bn in part)
    plain, bn = ([[pair[k] for pair in part] for part in apart] for k in (0, 1))
    unit = (
        f"{'Carried over' if together else 'Not carried over'}: after {EARLY} steps the 15th and "
        f"the 85th percentile of the plain unit are {_range(plain[1])} apart on MNIST and "
        f"{_range(plain[0])} on the digits; with BN it is {_range(bn[1])} and {_range(bn[0])}."
    )
    return [speed, unit]


def steps(small: dict[str, Any], rival: dict[str, Any], large: dict[str, Any]) -> list[str]:
    """Two sentences on both sides tuned: steps to an accuracy, then accuracy after the budget.

    Args:
        small: `experiments.load("steps-tuned")`; its ReLU networks are compared.
        rival: `experiments.load("tuned-relu-5")`.
        large: `experiments.load("vgg-tuned")`.
    """
    budget = str(2 * large["settings"]["steps"])
    first = {net: large["summary"][net][budget]["steps_to"][f"{COARSE:.0%}"] for net in _NETS}
    whole = int(budget)
    fewer = [
        (plain or whole) / (bn or whole)
        for plain, bn in zip(first["plain"], first["bn"], strict=True)
    ]
    own = {
        net: [r["to_90_within_600"] for r in small["rows"]
              if (r["activation"], r["net"]) == ("relu", net)]
        for net in _NETS
    }  # fmt: skip
    before = [plain / bn for plain, bn in zip(own["plain"], own["bn"], strict=True)]
    same = min(fewer) > 1 and median(before) > 1
    speed = (
        f"{'Carried over' if same else 'Not carried over'}: both sides tuned, BN needs "
        f"{_range(fewer)} times fewer steps to {COARSE:.0%} on CIFAR-10, in the median "
        f"{median(fewer):.2g}; on the digits it is {median(before):.2g} times fewer to "
        f"{LEVEL:.0%}, with ReLU."
    )
    if max(*fewer, median(before)) < PUBLISHED:
        speed += f" It is not {PUBLISHED} on either."
    ends = [list(result["summary"]["effects"]["plain"].values()) for result in (rival, large)]
    ahead = [all(e["low"] > 0 for e in part) for part in ends]
    word = "Carried over" if ahead[0] == ahead[1] else "Not the same"
    gains = [_range([100 * e[k] for e in part for k in ("low", "high")]) for part in ends]
    gain = (
        f"{word}: at half, once and twice the budget BN is ahead by {gains[1]} points of test "
        f"accuracy on CIFAR-10 (95 % intervals), by {gains[0]} in five ReLU layers on the digits."
    )
    return [speed, gain]


def linear(short: dict[str, Any], long: dict[str, Any]) -> list[str]:
    """Two sentences on 25 matrices: change of the gradient, then beta, late in training.

    Args:
        short: `experiments.load("landscape-linear")`.
        long: `experiments.load("landscape-linear-long")`, whose smallest rate is the paper's.
    """
    found = []
    for key, words in (("change late", "change of the gradient"), ("beta late", "β")):
        of_long, of_short = (r["summary"]["smaller_with_bn"][key] for r in (long, short))
        smaller, seeds = next(iter(of_long.values()))
        found.append(
            f"{'As' if smaller == seeds else 'Not as'} in the paper: late in training, the {words} "
            f"is smaller with BN in {_wins(of_long)}, after {long['settings']['steps']:,} steps; "
            f"after {short['settings']['steps']} in {_wins(of_short)}."
        )
    return found


def changes(small: dict[str, Any], large: dict[str, Any]) -> list[str]:
    """Two sentences on the changes that BN allows: which are BN's doing, and which help or harm it.

    A change is BN's doing if its interval with BN lies above that without.

    Args:
        small: `experiments.load("seven-changes")`.
        large: `experiments.load("vgg-changes")`.
    """
    digits = {name: _both(small, *PAIRS[done]) for name, done in ON_DIGITS.items()}
    photos = {
        name: {net: Effect(**of[net]) for net in _NETS}
        for name, of in large["summary"]["effects"].items()
    }
    doing = [
        [name for name, of in found.items() if of["bn"].low > of["plain"].high]
        for found in (photos, digits)
    ]
    return [
        f"BN's doing by the rule, of {len(photos)} changes on photos: {_listed(doing[0])}; of the "
        f"{len(digits)} that were made on the digits, too: {_listed(doing[1])}.",
        f"With BN, the interval is {_decided(photos)} on photos; on the digits it is "
        f"{_decided(digits)}. All others include 0.",
    ]


def _decided(found: dict[str, dict[str, Effect]]) -> str:
    """Which changes help and which harm with BN, where the interval says so."""
    helps = [name for name, of in found.items() if of["bn"].low > 0]
    harms = [name for name, of in found.items() if of["bn"].high < 0]
    return f"above 0 for {_listed(helps)} and below it for {_listed(harms)}"


def _both(result: dict[str, Any], before: str, after: str) -> dict[str, Effect]:
    """The effect of a change without BN and with it."""
    tests = {(r["variant"], r["net"], r["seed"]): r["test"] for r in result["rows"]}
    seeds = sorted({r["seed"] for r in result["rows"]})
    return {
        net: effect([tests[after, net, s] for s in seeds], [tests[before, net, s] for s in seeds])
        for net in _NETS
    }


def _listed(names: list[str]) -> str:
    return ", ".join(names) or "nothing"


def _wins(of: dict[str, list[int]]) -> str:
    told = (
        f"{smaller} of {seeds} seeds at a rate of {float(rate.removeprefix('lr ')):g}"
        for rate, (smaller, seeds) in of.items()
    )
    return ", ".join(told)


def _runs(result: dict[str, Any], net: str, lr: float) -> list[Row]:
    return [r for r in result["rows"] if (r["net"], r["lr"]) == (net, lr)]


def _times_fewer(result: dict[str, Any], lr: float) -> tuple[float, float]:
    """Smallest and largest ratio over the seeds of steps without BN over steps with it.

    A run that never gets there counts as the length of the run; the ratio is at least so large.
    """
    steps = result["settings"]["recorded"]

    def first(row: Row) -> int:
        return steps_to(row["accuracy"], steps, LEVEL) or steps[-1]

    pairs = zip(_runs(result, "plain", lr), _runs(result, "bn", lr), strict=True)
    found = [first(plain) / first(bn) for plain, bn in pairs]
    return min(found), max(found)


def _ahead(result: dict[str, Any], lr: float) -> tuple[float, float]:
    """Smallest and largest difference of the last accuracies, BN less plain."""
    pairs = zip(_runs(result, "bn", lr), _runs(result, "plain", lr), strict=True)
    found = [bn["accuracy"][-1] - plain["accuracy"][-1] for bn, plain in pairs]
    return min(found), max(found)


def _apart(result: dict[str, Any], lr: float) -> tuple[float, float]:
    """85th less 15th percentile of the unit after some steps, medians: without BN, with it."""
    at = result["settings"]["recorded"].index(EARLY)
    plain, bn = (
        median(r["p85"][at] - r["p15"][at] for r in _runs(result, net, lr))
        for net in ("plain", "bn")
    )
    return plain, bn


def _span(parts: list[tuple[float, float]], times: float = 1) -> str:
    """From the smallest to the largest, of all rates."""
    low, high = min(low for low, _ in parts), max(high for _, high in parts)
    return _range([times * low, times * high])


def _range(values: list[float]) -> str:
    low, high = (f"{v:.0f}" if abs(v) >= 10 else f"{v:.2g}" for v in (min(values), max(values)))
    return f"{low} to {high}".replace("-", "−")
