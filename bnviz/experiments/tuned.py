"""Is a network with Batch Normalization better than one without, when both are tuned?

Every fixed rate and scale favours one side. Here each side chooses its own, on validation data.
"""

from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.experiment import Row

__all__ = ["CONTESTS"]

WIDTH, BATCH = 64, 32
SPACE = {"lr": LogUniform(0.003, 30), "scale": LogUniform(0.1, 32)}


def run(cell: Row) -> Row:
    """Train one network and look at its accuracy on the way."""
    from bnviz.experiments.compiled import trainer  # a compiler is not needed to read a result

    sizes = (64, *[WIDTH] * cell["depth"], 10)
    network = trainer(BATCH, sizes=sizes, norm=cell["norm"], activation=cell["activation"])
    return network.scores(cell["steps"], lr=cell["lr"], scale=cell["scale"], seed=cell["seed"])


def _contest(activation: str, depth: int, steps: int) -> Contest:
    shared = {"activation": activation, "depth": depth}
    return Contest(
        name=f"tuned-{activation}-{depth}",
        title=f"With and without BN, both tuned: {depth} {activation} layers",
        claims=("C04", "C23", "C27", "C32"),
        question="Which reads more test images after so many steps, if each has its own best "
        "learning rate and initial scale?",
        fixed={
            "data": "digits; 287 of the training images choose, the test images judge",
            "network": f"{depth} hidden {activation} layers of {WIDTH}",
            "batch": BATCH,
            "no": "the interval of the difference reaches 0.01 or less at any of the three budgets",
        },
        contenders=(
            Contender("bn", SPACE, {"norm": True, **shared}),
            Contender("plain", SPACE, {"norm": False, **shared}),
        ),
        run=run,
        steps=steps,
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
)
