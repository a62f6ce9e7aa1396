"""Is a network with Batch Normalization better than one without, when both are tuned?

Every fixed rate and scale favours one side. Here each side chooses its own, on validation data.
Small batches see as many examples as large ones, and so take more steps.
"""

from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.experiment import Row

__all__ = ["CONTESTS"]

WIDTH, BATCH = 64, 32
SMALL = (2, 3, 4, 8)  # batch sizes
SPACE = {"lr": LogUniform(0.003, 30), "scale": LogUniform(0.1, 32)}
# The noisier the gradient, the smaller its best rate: with batches of two it lies near 0.003.
GENTLE = SPACE | {"lr": LogUniform(0.0003, 3)}


def run(cell: Row) -> Row:
    """Train one network and look at its accuracy on the way."""
    from bnviz.experiments.compiled import trainer  # a compiler is not needed to read a result

    sizes = (64, *[WIDTH] * cell["depth"], 10)
    network = trainer(
        cell["batch"],
        sizes=sizes,
        norm=cell["norm"],
        placement=cell.get("placement", "before"),
        activation=cell["activation"],
    )
    return network.scores(cell["steps"], lr=cell["lr"], scale=cell["scale"], seed=cell["seed"])


def _contest(activation: str, depth: int, steps: int, batch: int = BATCH) -> Contest:
    shared = {"activation": activation, "depth": depth, "batch": batch}
    small = batch < BATCH
    space = GENTLE if small else SPACE
    return Contest(
        name=f"tuned-batch-{batch}" if small else f"tuned-{activation}-{depth}",
        title=f"With and without BN, both tuned: {depth} {activation} layers"
        + (f", batches of {batch}" if small else ""),
        claims=("C22",) if small else ("C04", "C23", "C27", "C32"),
        question="Which reads more test images after so many steps, if each has its own best "
        "learning rate and initial scale?",
        fixed={
            "data": "digits; 287 of the training images choose, the test images judge",
            "network": f"{depth} hidden {activation} layers of {WIDTH}",
            "batch": batch,
            "no": "the interval of the difference reaches 0.01 or less at any of the three budgets",
        },
        contenders=(
            Contender("bn", space, {"norm": True, **shared}),
            Contender("plain", space, {"norm": False, **shared}),
        ),
        run=run,
        steps=steps,
        trials=64,
        seeds=tuple(range(20)),
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
    )


def _placed(activation: str) -> Contest:
    shared = {"activation": activation, "depth": 3, "batch": BATCH}
    sides = {"before": (True, "before"), "after": (True, "after"), "none": (False, "before")}
    return Contest(
        name=f"placed-{activation}",
        title=f"BN before or after the activation, or none, all tuned: {activation}",
        claims=("C15",),
        question="Which place reads more test images after so many steps, if each has its own best "
        "learning rate and initial scale?",
        fixed={
            "data": "digits; 287 of the training images choose, the test images judge",
            "network": f"3 hidden {activation} layers of {WIDTH}; with BN after the activation, "
            "and without BN, the linear layers have a bias",
            "batch": BATCH,
            "no": "the interval of the difference reaches 0.01 or less at any of the three budgets",
        },
        contenders=tuple(
            Contender(name, SPACE, {"norm": norm, "placement": place, **shared})
            for name, (norm, place) in sides.items()
        ),
        run=run,
        steps=300,
        trials=64,
        seeds=tuple(range(20)),
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
    )


CONTESTS = (
    _contest("sigmoid", 1, 300),
    _contest("sigmoid", 5, 300),
    _contest("sigmoid", 10, 600),
    _contest("tanh", 5, 300),
    _contest("relu", 5, 300),
    *(_contest("relu", 3, 4800 // batch, batch) for batch in SMALL),
    *map(_placed, ("sigmoid", "tanh", "relu")),
)
