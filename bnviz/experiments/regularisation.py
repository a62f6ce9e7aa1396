"""Does BN regularise, and is it the noise of the batch? Small training sets, all sides tuned."""

from functools import cache

from bnviz.experiments.contest import Contender, LogUniform
from bnviz.experiments.experiment import Row
from bnviz.experiments.stacked import SideBySide, Task, train_stacked
from bnviz.maths.data import Split, digits

__all__ = ["CONTESTS", "ROWS"]

ROWS, SIZES, STEPS = 150, (64, 64, 64, 10), 400
RATE = {"lr": LogUniform(0.01, 10)}
DROP = RATE | {"p": LogUniform(0.03, 0.9)}


@cache
def splits(seed: int) -> tuple[Split, Split]:
    """(fit, judge): `ROWS` training digits of the seed's own split of the data.

    The other 1,287 training digits are the test rows of `fit`; the test digits those of `judge`.
    """
    data = digits(seed)
    x, y = data.x_train[:ROWS], data.y_train[:ROWS]
    fit = Split(x, y, data.x_train[ROWS:], data.y_train[ROWS:])
    return fit, Split(x, y, data.x_test, data.y_test)


def run(cell: Row) -> Row:
    """Train all networks of the cell side by side."""
    many = cell["cells"]
    first = many[0]
    task = Task(SIZES, first["norm"], first["batch"], first["ghost"])
    held = {one["seed"]: splits(one["seed"]) for one in many}
    return {"rows": train_stacked(task, many, first["steps"], held)}


def _contender(name: str, batch: int, ghost: int = 0) -> Contender:
    norm = name in ("bn", "both") or name.startswith("ghost")
    space = DROP if name in ("dropout", "both") else RATE
    return Contender(name, space, {"norm": norm, "batch": batch, "ghost": ghost or batch})


def _contest(name: str, title: str, question: str, contenders: tuple, no: str) -> SideBySide:
    return SideBySide(
        name=name,
        title=title,
        claims=("C28", "C36", "C42") if name == "ghosts" else ("C28", "C36"),
        question=question,
        fixed={
            "data": f"{ROWS} training digits, another split of the data for each seed; the other "
            "1287 training digits choose, the 360 test digits judge",
            "network": "two hidden layers of 64, ReLU, initial scale sqrt(2)",
            "dropout": "behind every hidden activation, share p, tuned",
            "measured": "in evaluation mode: running statistics, no Dropout",
            "no": no,
        },
        contenders=contenders,
        run=run,
        steps=STEPS,
        trials=32,
        seeds=tuple(range(20)),
        targets=(0.85, 0.9),
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
    )


CONTESTS = (
    *(
        _contest(
            f"regularise-{batch}",
            f"Plain, BN, Dropout and both on {ROWS} digits, tuned: batch {batch}",
            "Which is right about more test digits, with its own best rate and share of Dropout?",
            tuple(_contender(name, batch) for name in ("bn", "plain", "dropout", "both")),
            "BN regularises only if the interval of BN less plain lies above 0 at all budgets; "
            "Dropout is obsolete only if that of BN less Dropout does, and both less BN does not",
        )
        for batch in (10, 30, ROWS)
    ),
    _contest(
        "ghosts",
        "Statistics from parts of the training set, gradient from all of it",
        "Is it the noise of the statistics? The gradient has none in any of these.",
        (
            _contender("ghost-10", ROWS, 10),
            _contender("ghost-30", ROWS, 30),
            _contender("bn", ROWS),
            _contender("plain", ROWS),
        ),
        "noise is the reason only if statistics of 10 beat those of all 150 at all budgets",
    ),
)
