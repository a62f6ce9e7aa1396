"""What a test of a Batch Normalization layer should check: questions, each with yes or no.

They take the class of a layer (anything that gives one when it is called with the number of
features), with gamma and beta or without, and compare it with what must hold for any right layer:
PyTorch's running values, the formula, its own central differences. They try (m, d) batches of three
features in float32; what else a layer takes is not asked.
"""

import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["CHECKS", "LINES", "explain", "failures"]

D, M, WEIGHT, EPS = 3, 8, 0.2, 1e-5  # features, batch size, weight of the new value, PyTorch's eps
Layer = Any  # a module with running values: nn.Module declares none
Kind = Callable[..., Layer]
# what others call gamma and beta, and the running values
_NAMES = {
    "gamma": ("weight", "gamma", "scale"),
    "beta": ("bias", "beta", "shift"),
    "mean": ("running_mean", "moving_mean"),
    "var": ("running_var", "moving_var", "moving_variance"),
}
# x - mu_B, var_B, eps -> what some layers do instead
_RIVALS: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "there is no eps": lambda c, v, e: c / v.sqrt(),
    "eps is added to the root, not under it": lambda c, v, e: c / (v.sqrt() + e),
    "eps is added to the quotient": lambda c, v, e: c / v.sqrt() + e,
    "eps is a floor under the variance, not added to it": lambda c, v, e: c / v.clamp(e).sqrt(),
    "eps is squared": lambda c, v, e: c / (v + e**2).sqrt(),
    "eps is 1e-3, not 1e-5": lambda c, v, e: c / (v + 1e-3).sqrt(),
    "the variance is not under a root": lambda c, v, e: c / (v + e),
}


def _made(kind: Kind) -> tuple[Layer, float]:
    """A layer, and the weight of the new value in its running averages: WEIGHT if it takes one."""
    makes = [lambda: kind(D, momentum=WEIGHT), lambda: _assigned(kind(D))]
    second = list(inspect.signature(kind).parameters)[1:2]
    if second and not any(word in second[0] for word in ("eps", "affine", "options", "kwargs")):
        makes.insert(1, lambda: kind(D, WEIGHT))
    for make in makes:
        with suppress(TypeError, AttributeError):  # of another signature
            return make(), WEIGHT
    return kind(D), 0.1


def _assigned(layer: Layer) -> Layer:
    _ = layer.momentum  # AttributeError: it has none
    layer.momentum = WEIGHT
    return layer


def _part(layer: Layer, what: str) -> Any:
    """gamma, beta, or a running value, whatever it is called; None if there is none."""
    return next((v for n in _NAMES[what] if (v := getattr(layer, n, None)) is not None), None)


def _batches(count: int = 4) -> list[Tensor]:
    """Batches whose features have levels and spreads of their own, (M, D) each."""
    generator = torch.Generator().manual_seed(0)
    level, spread = torch.tensor([-3.0, 0.0, 5.0]), torch.tensor([0.5, 1.0, 2.0])
    return [level + spread * torch.randn(M, D, generator=generator) for _ in range(count)]


def _trained(kind: Kind, *, grad: bool = True) -> tuple[Layer, Layer]:
    """The layer, and PyTorch's, after the same batches in training mode."""
    layer, weight = _made(kind)
    reference = nn.BatchNorm1d(D, momentum=weight, affine=False)
    with torch.set_grad_enabled(grad):
        for x in _batches():
            layer(x)
            reference(x)
    return layer, reference


def _same(a: Tensor, b: Tensor) -> bool:
    return bool(torch.allclose(a.detach().squeeze(), b, atol=1e-4))


def each_feature_is_normalised(kind: Kind) -> bool:
    """x_hat = (x - mu_B) / sqrt(var_B + eps): mu_B, var_B of each column, var_B divided by m."""
    y = kind(D)(_batches()[0])
    return _same(y.mean(0), torch.zeros(D)) and _same(y.var(0, correction=0), torch.ones(D))


def a_constant_feature_becomes_0(kind: Kind) -> bool:
    """x_hat = (x - mu_B) / sqrt(var_B + eps): eps keeps 0 / 0 away where var_B is 0."""
    x = _batches()[0]
    x[:, 1] = 2.0
    return _same(kind(D)(x)[:, 1], torch.zeros(M))


def small_variances_show_eps(kind: Kind) -> bool:
    """x_hat = (x - mu_B) / sqrt(var_B + eps): eps = 1e-5 is added to var_B, under the root."""
    y, x = _in_small_variances(kind)
    expected = x / (x.square().mean(0) + EPS).sqrt()
    # 0.08: whether var_B is biased is another question
    return bool(torch.allclose(y.std(0) / y.std(0).amax(), *_ratio(expected), rtol=0.08))


def _ratio(v: Tensor) -> tuple[Tensor]:
    return (v.std(0) / v.std(0).amax(),)


def _in_small_variances(kind: Kind) -> tuple[Tensor, Tensor]:
    """What a layer makes of features with mean 0, and they: spreads from eps to 1, (M, 8)."""
    spread = torch.tensor([1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 1.0])
    x = torch.randn(M, 8, generator=torch.Generator().manual_seed(1))
    x = spread * (x - x.mean(0)) / x.std(0, correction=0)
    x -= x.mean(0)
    return kind(8)(x).detach(), x


def the_gradient_knows_the_statistics(kind: Kind) -> bool:
    """dx takes the road through mu_B: shifting a feature changes nothing, so its sum is 0."""
    (dx,) = _gradients(kind, _batches()[0])
    return _same(dx.sum(0), torch.zeros(D))


def the_gradient_knows_the_variance(kind: Kind) -> bool:
    """dx takes the road through var_B: stretching changes nothing, so sum dx (x - mu_B) is 0."""
    x = _batches()[0]
    (dx,) = _gradients(kind, x)
    return _same((dx * (x - x.mean(0))).sum(0), torch.zeros(D))


def _gradients(kind: Kind, x: Tensor) -> tuple[Tensor, ...]:
    x = x.clone().requires_grad_()
    # of all values the same upstream gradient would be worthless: then dx is 0 for any right layer
    return torch.autograd.grad((kind(D)(x) * _batches()[1]).sum(), x)


def the_gradient_is_that_of_the_outputs(kind: Kind) -> bool:
    """dx = gamma / sqrt(var_B + eps) (dy - x_hat dgamma / m - dbeta / m), and dgamma, dbeta."""
    layer, x, dy = kind(D).double(), _batches()[0].double(), _batches()[1].double()
    parts = [x, *(p for p in (_part(layer, "gamma"), _part(layer, "beta")) if p is not None)]
    parts = [part.detach().clone() if part is x else part for part in parts]
    x = parts[0].requires_grad_()
    gradients = torch.autograd.grad((layer(x) * dy).sum(), parts)
    for part, gradient in zip(parts, gradients, strict=True):
        numbers, slope = part.detach().reshape(-1), torch.zeros(part.numel()).double()
        for i in range(len(numbers)):  # a view: the layer sees each nudge
            ends: list[Tensor] = []
            kept = numbers[i].clone()
            for h in (1e-5, -1e-5):
                numbers[i] = kept + h
                ends.append((layer(x.detach()) * dy).sum().detach())
            numbers[i] = kept
            slope[i] = (ends[0] - ends[1]) / 2e-5
        if not torch.allclose(gradient.reshape(-1), slope, rtol=1e-3, atol=1e-3):
            return False
    return True


def gamma_and_beta_belong_to_features(kind: Kind) -> bool:
    """y = gamma x_hat + beta: one number of each per feature; at first 1 and 0."""
    layer, x = kind(D), _batches()[0][:D]  # as many examples as features: either axis would fit
    gamma, beta = _part(layer, "gamma"), _part(layer, "beta")
    if gamma is None and beta is None:
        return True
    x_hat = layer(x).detach()
    fresh = nn.BatchNorm1d(D, affine=False)(x)
    for part, values in ((gamma, [1.0, -2.0, 0.5]), (beta, [3.0, 0.0, -1.0])):
        if part is not None:
            with torch.no_grad():
                part.copy_(torch.tensor(values).reshape(part.shape))
    expected = fresh if gamma is None else fresh * torch.tensor([1.0, -2.0, 0.5])
    expected = expected if beta is None else expected + torch.tensor([3.0, 0.0, -1.0])
    changed = layer(x)
    as_at_first = torch.allclose(x_hat.mean(0), torch.zeros(D), atol=1e-4)
    shift, scale = changed.mean(0), changed.std(0) / x_hat.std(0)
    wanted = expected.mean(0), expected.std(0) / fresh.std(0)
    return as_at_first and _same(shift, wanted[0]) and _same(scale, wanted[1])


def an_answer_does_not_depend_on_batch_mates(kind: Kind) -> bool:
    """Evaluation: running_mean and running_var in place of mu_B and var_B."""
    layer, _ = _trained(kind)
    one, other = _batches()[:2]
    together = torch.cat([one[:1], other[1:]])
    return _same(layer.eval()(one)[0], layer(together)[0].detach())


def evaluation_normalises_with_the_running_values(kind: Kind) -> bool:
    """Evaluation: x_hat = (x - running_mean) / sqrt(running_var + eps), a variance under the root.

    Of a layer whose answers depend on batch mates, another check speaks.
    """
    if not an_answer_does_not_depend_on_batch_mates(kind):
        return True
    layer, x = _made(kind)[0], _batches()[0]
    layer(x)
    mean, var = torch.tensor([-2.0, 0.5, 4.0]), torch.tensor([1e-5, 0.25, 9.0])
    with torch.no_grad():
        for name, value in (("mean", mean), ("var", var)):
            held = _part(layer, name)
            held.copy_(value.reshape(held.shape))
    return _same(layer.eval()(x[:4]), (x[:4] - mean) / (var + EPS).sqrt())


def evaluation_changes_nothing(kind: Kind) -> bool:
    """running_mean and running_var move in training only."""
    layer, _ = _trained(kind)
    before = [_part(layer, name).clone() for name in ("mean", "var")]
    layer.eval()(_batches()[0])
    after = [_part(layer, name) for name in ("mean", "var")]
    return all(_same(a, b.squeeze()) for a, b in zip(after, before, strict=True))


def the_state_survives_saving(kind: Kind) -> bool:
    """running_mean and running_var are part of the state: a layer that loads it answers alike."""
    layer, _ = _trained(kind)
    again, _ = _made(kind)
    try:
        again.load_state_dict(layer.state_dict())
    except RuntimeError:  # it does not even fit
        return False
    x = _batches()[0]
    return bool(torch.allclose(layer.eval()(x), again.eval()(x)))


def the_running_mean_is_pytorchs(kind: Kind) -> bool:
    """running_mean <- (1 - momentum) running_mean + momentum mu_B, from 0 on."""
    layer, reference = _trained(kind)
    return _same(_part(layer, "mean"), reference.running_mean)


def the_running_variance_is_pytorchs(kind: Kind) -> bool:
    """running_var <- (1 - momentum) running_var + momentum m / (m - 1) var_B, from 1 on."""
    layer, reference = _trained(kind)
    return _same(_part(layer, "var"), reference.running_var)


def running_values_move_without_gradients(kind: Kind) -> bool:
    """running_mean, running_var move in training mode, under no_grad too, and keep no graph."""
    with_grad, _ = _trained(kind)
    without, _ = _trained(kind, grad=False)
    x = _batches()[0].requires_grad_()
    with_grad_of_x, _ = _made(kind)
    with_grad_of_x(x)
    return all(
        _same(_part(without, name), _part(with_grad, name).detach().squeeze())
        and not _part(with_grad_of_x, name).requires_grad
        for name in ("mean", "var")
    )


def the_shapes_are_pytorchs(kind: Kind) -> bool:
    """running_mean and running_var are vectors, (d,), before and after training."""
    layer, reference = _trained(kind)
    return _part(layer, "mean").shape == reference.running_mean.shape


def a_batch_of_one_is_refused(kind: Kind) -> bool:
    """Training needs m >= 2: else var_B is 0, and y says nothing about x."""
    try:
        kind(D)(_batches()[0][:1])
    except ValueError:
        return True
    return False


_ALL = (
    each_feature_is_normalised,
    a_constant_feature_becomes_0,
    small_variances_show_eps,
    the_gradient_knows_the_statistics,
    the_gradient_knows_the_variance,
    the_gradient_is_that_of_the_outputs,
    gamma_and_beta_belong_to_features,
    an_answer_does_not_depend_on_batch_mates,
    evaluation_normalises_with_the_running_values,
    evaluation_changes_nothing,
    the_state_survives_saving,
    the_running_mean_is_pytorchs,
    the_running_variance_is_pytorchs,
    running_values_move_without_gradients,
    the_shapes_are_pytorchs,
    a_batch_of_one_is_refused,
)
CHECKS: dict[str, Callable[[Kind], bool]] = {c.__name__.replace("_", " "): c for c in _ALL}
# name -> the line of the formula that the check is about
LINES: dict[str, str] = {
    name: (check.__doc__ or "").split("\n")[0] for name, check in CHECKS.items()
}


def _passes(check: Callable[[Kind], bool], kind: Kind) -> bool:
    """Whether a layer passes; one that breaks down does not."""
    try:
        return check(kind)
    except Exception:
        return False


def failures(kind: Kind) -> list[str]:
    """The names of the checks that a layer does not pass; `explain` says what they mean.

    Args:
        kind: called with the number of features, and with `momentum`, the weight of the new value,
            if it takes one; or else that is assigned. The running values are `running_mean` and
            `running_var` (or `moving_...`), gamma and beta `weight` and `bias` if it has them.

    Raises TypeError for what gives no module; what the layer raises in a check counts as a failure.

    >>> from bnviz.maths.broken import Right, OneScalar
    >>> failures(Right), len(failures(OneScalar)) > 0
    ([], True)
    >>> failures(nn.BatchNorm1d)
    []
    """
    if not callable(kind) or not isinstance(kind(D), nn.Module):
        raise TypeError(f"{kind!r} must be called with the number of features and give a module")
    return [name for name, check in CHECKS.items() if not _passes(check, kind)]


def explain(kind: Kind) -> dict[str, str]:
    """For each check that a layer does not pass, the line of the formula that is wrong.

    Where the line with eps is wrong, and it is one of the usual mistakes, it is named.

    >>> from bnviz.maths.broken import NotSaved
    >>> for name, line in explain(NotSaved).items():
    ...     print(f"{name}: {line}")
    the state survives saving: running_mean and running_var are part of the state: a layer that
    loads it answers alike.
    """
    found = {name: LINES[name] for name in failures(kind)}
    place = "small variances show eps"
    if place in found:
        y, x = _in_small_variances(kind)
        for words, rival in _RIVALS.items():
            if torch.allclose(y, rival(x, x.square().mean(0), EPS), rtol=3e-6, atol=1e-6):
                found[place] += f" Here {words}."
                break
    return found
