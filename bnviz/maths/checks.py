"""What a test of a Batch Normalization layer should check: nine questions, each with yes or no.

They take the class of a layer without gamma and beta, such as those of `bnviz.maths.broken`, and
compare it with `torch.nn.BatchNorm1d` or with what must hold for any right layer.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CHECKS", "failures"]

D, M, WEIGHT = 3, 8, 0.2  # features, batch size, weight of the new value
Layer = Any  # a module with running values: nn.Module declares none
Kind = Callable[..., Layer]


def _batches(count: int = 4) -> list[Tensor]:
    """Batches whose features have levels and spreads of their own, (M, D) each."""
    generator = torch.Generator().manual_seed(0)
    level, spread = torch.tensor([-3.0, 0.0, 5.0]), torch.tensor([0.5, 1.0, 2.0])
    return [level + spread * torch.randn(M, D, generator=generator) for _ in range(count)]


def _trained(kind: Kind) -> tuple[Layer, Layer]:
    """The layer, and PyTorch's, after the same batches in training mode."""
    layer, reference = kind(D, WEIGHT), nn.BatchNorm1d(D, momentum=WEIGHT, affine=False)
    for x in _batches():
        layer(x)
        reference(x)
    return layer, reference


def _same(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a.squeeze(), b, atol=1e-4))


def each_feature_is_normalised(kind: Kind) -> bool:
    """Column by column, with the biased variance: mean 0, variance 1."""
    y = kind(D)(_batches()[0])
    return _same(y.mean(0), torch.zeros(D)) and _same(y.var(0, correction=0), torch.ones(D))


def the_gradient_knows_the_statistics(kind: Kind) -> bool:
    """Shifting a whole feature changes nothing, so its gradients add up to 0."""
    x = _batches()[0].requires_grad_()
    (gradient,) = torch.autograd.grad((kind(D)(x) * _batches()[1]).sum(), x)
    return _same(gradient.sum(0), torch.zeros(D))


def an_answer_does_not_depend_on_batch_mates(kind: Kind) -> bool:
    """In evaluation mode an example gets the same output in any batch."""
    layer, _ = _trained(kind)
    one, other = _batches()[:2]
    together = torch.cat([one[:1], other[1:]])
    return _same(layer.eval()(one)[0], layer.eval()(together)[0])


def evaluation_changes_nothing(kind: Kind) -> bool:
    """Running values are what they were before the evaluation."""
    layer, _ = _trained(kind)
    before = layer.running_mean.clone()
    layer.eval()(_batches()[0])
    return _same(layer.running_mean, before)


def the_state_survives_saving(kind: Kind) -> bool:
    """A new layer with the saved state gives the same outputs."""
    layer, _ = _trained(kind)
    again = kind(D, WEIGHT)
    try:
        again.load_state_dict(layer.state_dict())
    except RuntimeError:  # it does not even fit
        return False
    x = _batches()[0]
    return bool(torch.allclose(layer.eval()(x), again.eval()(x)))


def the_running_mean_is_pytorchs(kind: Kind) -> bool:
    """That takes the right momentum."""
    layer, reference = _trained(kind)
    return _same(layer.running_mean, reference.running_mean)


def the_running_variance_is_pytorchs(kind: Kind) -> bool:
    """That takes the right momentum, and the unbiased variance."""
    layer, reference = _trained(kind)
    return _same(layer.running_var, reference.running_var)


def the_shapes_are_pytorchs(kind: Kind) -> bool:
    """Running values are vectors, before and after training."""
    layer, reference = _trained(kind)
    return layer.running_mean.shape == reference.running_mean.shape


def a_batch_of_one_is_refused(kind: Kind) -> bool:
    """In training mode its variance is 0 and its output would say nothing about the input."""
    try:
        kind(D)(_batches()[0][:1])
    except ValueError:
        return True
    return False


CHECKS: dict[str, Callable[[Kind], bool]] = {
    check.__name__.replace("_", " "): check
    for check in (
        each_feature_is_normalised,
        the_gradient_knows_the_statistics,
        an_answer_does_not_depend_on_batch_mates,
        evaluation_changes_nothing,
        the_state_survives_saving,
        the_running_mean_is_pytorchs,
        the_running_variance_is_pytorchs,
        the_shapes_are_pytorchs,
        a_batch_of_one_is_refused,
    )
}


def failures(kind: Kind) -> list[str]:
    """The checks that a layer does not pass.

    >>> from bnviz.maths.broken import Right, OneScalar
    >>> failures(Right), len(failures(OneScalar)) > 0
    ([], True)
    """
    return [name for name, check in CHECKS.items() if not check(kind)]
