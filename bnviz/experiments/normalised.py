"""Group Normalization or Batch Normalization, each at its own best rate, for three batch sizes.

All see the same number of examples, so that small batches take more steps.
"""

from functools import cache

from bnviz.experiments.contest import Contender, Contest, LogUniform
from bnviz.experiments.experiment import Row
from bnviz.maths.relatives import BlockNet

__all__ = ["BATCHES", "CONTESTS"]

BATCHES, EXAMPLES = (2, 4, 32), 4800
SCALE = 2**0.5  # of the initial weights; every contender normalises, so it hardly matters
# The noisier the gradient, the smaller its best rate.
SPACES = {
    2: {"lr": LogUniform(0.0003, 3)},
    4: {"lr": LogUniform(0.0003, 3)},
    32: {"lr": LogUniform(0.003, 30)},
}


@cache
def _trainer(kind: str, batch: int):
    from bnviz.experiments.compiled import Trainer  # a compiler is not needed to read a result

    return Trainer(BlockNet(kind), batch)


def run(cell: Row) -> Row:
    """Train one network and look at its accuracy on the way."""
    network = _trainer(cell["kind"], cell["batch"])
    return network.scores(cell["steps"], lr=cell["lr"], scale=SCALE, seed=cell["seed"])


def _contest(batch: int) -> Contest:
    return Contest(
        name=f"normalised-batch-{batch}",
        title=f"Group, layer and batch normalisation, tuned: batches of {batch}",
        claims=("C40",),
        question="Which reads more test images after so many examples, if each has its own best "
        "learning rate?",
        fixed={
            "data": "digits; 287 of the training images choose, the test images judge",
            "network": "maths.relatives.BlockNet: 8 filters of 2 x 2, 32 units, 4 groups",
            "batch": batch,
            "no": "of small batches: the interval of group less batch reaches 0.01 or less at any "
            "budget; of 32: it lies above 0.01 at all of them",
        },
        contenders=tuple(
            Contender(kind, SPACES[batch], {"kind": kind, "batch": batch})
            for kind in ("group", "batch", "layer")
        ),
        run=run,
        steps=EXAMPLES // batch,
        trials=16,
        seeds=tuple(range(20)),
        notes=("Runs that are not finite count as 0.1, the accuracy of guessing.",),
    )


CONTESTS = tuple(map(_contest, BATCHES))
