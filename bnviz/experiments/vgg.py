"""VGG on CIFAR-10: trainings at the papers' scale, or at a width that two cores can bear."""

from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

import torch

from bnviz.experiments import store
from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.experiment import Row
from bnviz.maths.data import Split, cifar10
from bnviz.maths.prng import permutation
from bnviz.maths.train import DivergenceError, Step, train
from bnviz.maths.vgg import VGG

__all__ = [
    "BATCH",
    "CONTESTS",
    "OPTIONS",
    "SETTINGS",
    "accuracy",
    "network",
    "photos",
    "scores",
    "tuned_rate",
]

BATCH, GUESSING = 128, 0.1
CHOOSING, JUDGING = 2000, 5000  # photos; looking at more would cost as much as the training
OPTIONS = {"device": "cpu", "width": 0.125}  # an eighth: on one core a step takes 30 ms
SETTINGS = {
    "data": "CIFAR-10, photos that went through JPEG once; channels standardised, no distortions",
    "network": "VGG-11, BN behind every convolution or nowhere; He's initial weights",
    "batch": BATCH,
    "optimiser": "plain SGD, one rate throughout",
}


@cache
def photos(device: str) -> tuple[Split, Split]:
    """(fit, judge) on a device: 48,000 photos train, 2,000 choose, 5,000 test photos judge."""
    data = cifar10()
    order = permutation(len(data.x_train), 0, 0)
    held, rest = order[:CHOOSING], order[CHOOSING:]
    parts = [(data.x_train, rest), (data.x_train, held), (data.x_test, slice(JUDGING))]
    labels = [(data.y_train, rest), (data.y_train, held), (data.y_test, slice(JUDGING))]
    x, choosing_x, judging_x = (v[at].to(device) for v, at in parts)
    y, choosing_y, judging_y = (v[at].to(device) for v, at in labels)
    return Split(x, y, choosing_x, choosing_y), Split(x, y, judging_x, judging_y)


def network(cell: Row) -> VGG:
    """A network of the cell's "norm", "width" and "seed", on its "device", at its start.

    With "noisy" in the cell, and true, noise follows every BN.
    """
    noise = cell["seed"] if cell.get("noisy") else None
    net = VGG(norm=cell["norm"], width=cell["width"], noise=noise)
    net.load_state_dict(net.start(cell["seed"]))
    return net.to(cell["device"])


@torch.no_grad()
def accuracy(net: VGG, split: Split) -> float:
    """In evaluation mode, on the rows that a split holds back; what is not finite guesses."""
    if not all(v.isfinite().all() for v in net.state_dict().values()):
        return GUESSING
    pairs = zip(split.x_test.split(500), split.y_test.split(500), strict=True)
    right = sum((net.eval()(x).argmax(1) == y).sum().item() for x, y in pairs)
    return right / len(split.y_test)


def scores(
    net: VGG, data: tuple[Split, Split], cell: Row, looks: Iterable[int], batch: int = BATCH
) -> dict[str, list[float]]:
    """Train, and look at both kinds of held-back photos after some steps.

    Args:
        net: at its start.
        data: (fit, judge).
        cell: "lr" and "seed".
        looks: steps, ascending; the last one ends the training.
        batch: rows of a minibatch.

    Returns:
        {"validation": [..], "test": [..]}, an accuracy for each look. A run that diverged guesses
        from there on.
    """
    looks = list(looks)
    found: dict[str, list[float]] = {"validation": [], "test": []}

    def look(step: Step) -> None:
        if step.number in looks:
            for key, split in zip(found, data, strict=True):
                found[key].append(accuracy(net, split))

    options = {"batch_size": batch, "lr": cell["lr"], "seed": cell["seed"], "on_step": look}
    try:
        train(net, data[0], steps=looks[-1], **options)
    except DivergenceError:
        for curve in found.values():
            curve += [GUESSING] * (len(looks) - len(curve))
    return found


def run(cell: Row) -> Row:
    """One training of a contest."""
    return scores(network(cell), photos(cell["device"]), cell, cell["steps"])


def _contest(name: str, title: str, steps: int, run: Callable[[Row], Row], **words: Any) -> Contest:
    space = {"lr": LogUniform(0.001, 3)}
    return Contest(
        name=name,
        title=title,
        fixed=SETTINGS
        | {"judged": f"{CHOOSING} training photos choose, {JUDGING} test photos judge"},
        contenders=(
            Contender("bn", space, {"norm": True}),
            Contender("plain", space, {"norm": False}),
        ),
        run=run,
        steps=steps,
        options=OPTIONS,
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
        **words,
    )


def tuned_rate(net: str, budget: int = 800) -> float:
    """The learning rate that the stored search chose for "bn" or "plain"."""
    return store.read("vgg-tuned")["summary"][net][str(budget)]["chosen"]["lr"]


CONTESTS = (
    _contest(
        "vgg-tuned",
        "VGG-11 on CIFAR-10, with BN and without, rates tuned",
        800,
        run,
        claims=("C23", "C32"),
        question="Which is right about more test photos, each at its own best rate?",
        trials=8,
        tuning_seeds=(100,),
        seeds=tuple(range(5)),
        targets=(0.5, 0.6, 0.65, 0.7),
    ),
)
