"""What gamma and beta are good for: held, or learned alone; each side tuned by itself."""

from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.experiment import Row

__all__ = ["CONTESTS"]

WIDTH, DEPTH, BATCH = 64, 5, 32
# The initial scale is no setting of its own: behind BN it acts as a rate (chapter "Benefits").
RATE = {"lr": LogUniform(0.003, 300)}
AFFINE, HIDDEN = ("norm.weight", "norm.bias"), ("linear.weight", "linear.bias")


def run(cell: Row) -> Row:
    """Train what is not frozen and look at the accuracy on the way."""
    from bnviz.experiments.compiled import trainer  # a compiler is not needed to read a result

    sizes = (64, *[WIDTH] * DEPTH, 10)
    network = trainer(
        BATCH,
        frozen=tuple(cell["frozen"]),
        sizes=sizes,
        norm=True,
        activation=cell["activation"],
    )
    return network.scores(cell["steps"], lr=cell["lr"], scale=1.0, seed=cell["seed"])


def _contest(name: str, title: str, question: str, claims: tuple[str, ...], sides) -> Contest:
    return Contest(
        name=name,
        title=title,
        claims=claims,
        question=question,
        fixed={
            "data": "digits; 287 of the training images choose, the test images judge",
            "network": f"{DEPTH} hidden layers of {WIDTH} with BN",
            "batch": BATCH,
            "no": "the interval of the difference reaches the margin at any of the three budgets",
        },
        contenders=sides,
        run=run,
        steps=300,
        trials=64,
        seeds=tuple(range(20)),
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
    )


def _side(name: str, activation: str, frozen: tuple[str, ...]) -> Contender:
    return Contender(name, RATE, {"activation": activation, "frozen": list(frozen)})


CONTESTS = (
    *(
        _contest(
            f"affine-held-{activation}",
            f"gamma and beta learned or held at 1 and 0: {activation}",
            "Does training suffer without gamma and beta?",
            ("C11",),
            (_side("learned", activation, ()), _side("held", activation, AFFINE)),
        )
        for activation in ("sigmoid", "relu")
    ),
    _contest(
        "affine-only",
        "gamma, beta and the last layer learned, all other weights as drawn",
        "Can gamma and beta carry what a network learns?",
        ("C10", "C60"),
        (_side("affine", "relu", HIDDEN), _side("head", "relu", HIDDEN + AFFINE)),
    ),
)
