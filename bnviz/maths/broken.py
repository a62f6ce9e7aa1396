"""Batch Normalization with one mistake each, to learn what the mistakes look like.

`Right` is a correct layer without gamma and beta; no mistake here is about them. Every other class
changes one of its methods. All of these mistakes have been published: in tutorials, in homework
solutions, in questions on framework issue trackers. Do not use them; the layer to
read is `bnviz.maths.nets.BatchNorm`.
"""

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments

__all__ = [
    "MISTAKES",
    "AlwaysTraining",
    "DetachedStatistics",
    "FlippedMomentum",
    "MixedVariances",
    "NotSaved",
    "OneScalar",
    "Right",
    "RowBuffers",
    "TakesOne",
    "TestBatch",
]


class Right(nn.Module):
    """Nothing is wrong here: (m, d) -> (m, d), with statistics of shape (d,).

    Training:   (x - mu_B) / sqrt(var_B + eps), var_B biased. The running variance takes the
    unbiased one with weight `momentum`, the weight of the NEW value.
    Evaluation: the running values in place of mu_B and var_B.

    Raises ValueError in training for a batch of one, and for x of another shape.

    >>> Right(1)(torch.tensor([[1.0], [3.0]])).flatten().round(decimals=3).tolist()
    [-1.0, 1.0]
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, momentum: float | Tensor = 0.1, eps: float = 1e-5):
        super().__init__()
        arguments.whole("features", features, 1)
        self.features = features
        self.momentum, self.eps = momentum, eps
        self.register_buffer("running_mean", torch.zeros(features))  # (d,)
        self.register_buffer("running_var", torch.ones(features))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return self.normalise(x, self.running_mean, self.running_var)
        self.fits(x)
        self.check(x)
        mean, var = self.statistics(x)
        self.update(mean.detach(), var.detach(), x.shape[0])
        return self.normalise(x, mean, var)

    def check(self, x: Tensor) -> None:
        if x.shape[0] < 2:
            raise ValueError("training needs at least 2 examples, got 1: enlarge the batch")

    def fits(self, x: Tensor) -> None:
        arguments.floats("x", x, "m", self.features)

    def normalise(self, x: Tensor, mean: Tensor, var: Tensor) -> Tensor:
        self.fits(x)
        return (x - mean) / torch.sqrt(var + self.eps)

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.mean(0)  # (d,)
        return mean, ((x - mean) ** 2).mean(0)  # biased

    def update(self, mean: Tensor, var: Tensor, m: int) -> None:
        self.move(mean, var * (m / (m - 1)), self.momentum)

    def move(self, mean: Tensor, var: Tensor, weight: float | Tensor) -> None:
        """Both running values take a step of `weight` towards the new ones."""
        self.running_mean = self.running_mean + weight * (mean - self.running_mean)
        self.running_var = self.running_var + weight * (var - self.running_var)


class DetachedStatistics(Right):
    """The statistics are computed under no_grad: outputs are right, gradients are not."""

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            return super().statistics(x)


class OneScalar(Right):
    """One mean and one variance for the whole array, not one for each feature."""

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean = x.mean()
        var = ((x - mean) ** 2).mean()
        return mean.expand(x.shape[1]), var.expand(x.shape[1])


class TestBatch(Right):
    """Evaluation normalises with the batch at hand: an answer depends on the other questions."""

    __test__ = False  # its name does not make it a test

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return super().forward(x)
        self.fits(x)
        return self.normalise(x, *self.statistics(x))


class AlwaysTraining(Right):
    """Evaluation mode is forgotten: test data normalise themselves AND move the running values."""

    def forward(self, x: Tensor) -> Tensor:
        self.fits(x)
        self.check(x)
        mean, var = self.statistics(x)
        self.update(mean.detach(), var.detach(), x.shape[0])
        return self.normalise(x, mean, var)


class NotSaved(Right):
    """The running values are not part of the state: they are gone after saving and loading."""

    def __init__(self, features: int, momentum: float | Tensor = 0.1, eps: float = 1e-5):
        super().__init__(features, momentum, eps)
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, getattr(self, name), persistent=False)


class FlippedMomentum(Right):
    """The momentum is taken as the weight of the OLD value."""

    def move(self, mean: Tensor, var: Tensor, weight: float | Tensor) -> None:
        super().move(mean, var, 1 - weight)


class MixedVariances(Right):
    """The two variances have changed places: unbiased in the batch, biased in the running value."""

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, var = super().statistics(x)
        return mean, var * (x.shape[0] / (x.shape[0] - 1))

    def update(self, mean: Tensor, var: Tensor, m: int) -> None:
        self.move(mean, var * ((m - 1) / m), self.momentum)


class RowBuffers(Right):
    """Statistics of shape (1, d), by keepdim: the numbers are right, the saved shapes are not."""

    def statistics(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mean, var = super().statistics(x)
        return mean.unsqueeze(0), var.unsqueeze(0)


class TakesOne(Right):
    """A batch of one is accepted in training: its mean is itself, so the answer is always 0."""

    def check(self, x: Tensor) -> None:
        pass

    def update(self, mean: Tensor, var: Tensor, m: int) -> None:
        self.move(mean, var * (m / max(m - 1, 1)), self.momentum)


# what a reader calls it -> the class; the first one is right
MISTAKES: dict[str, type[Right]] = {
    "none: this is right": Right,
    "no_grad statistics": DetachedStatistics,
    "one scalar for all": OneScalar,
    "test batch statistics": TestBatch,
    "eval mode forgotten": AlwaysTraining,
    "values not saved": NotSaved,
    "momentum flipped": FlippedMomentum,
    "variances mixed up": MixedVariances,
}
