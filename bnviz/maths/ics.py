"""Two measures of internal covariate shift: moving distributions, and gradients that go stale.

Both are pure functions of tensors, so a figure can compute them in the reader's browser.
"""

import torch
from torch import Tensor
from torch.func import functional_call
from torch.nn import functional as F

from bnviz.maths import _arguments as arguments
from bnviz.maths.moments import moments
from bnviz.maths.nets import MLP

__all__ = ["compare", "gradient_shift", "gradients", "learned", "moments_shift", "wasserstein"]


def wasserstein(a: Tensor, b: Tensor) -> Tensor:
    """Distance by which a unit's values must be moved to turn one distribution into the other.

    W1 = mean_i |a_(i) - b_(i)|, the values of each sorted: two samples of one size on a line.

    Args:
        a, b: values of d units on m examples, (m, d). The order of the examples does not matter.

    Returns:
        (d,), in the units of the values; NaN or infinite for a unit with such a value.

    Raises:
        TypeError: unless both are tensors of floating-point numbers.
        ValueError: for empty samples, or of two sizes: pairs would be missing.

    Source: Villani (2009), Optimal Transport: on a line, sorted pairs are the cheapest plan.

    >>> wasserstein(torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [2.0]]))
    tensor([2.])
    """
    _check_pair(a, b)
    return (a.sort(0).values - b.sort(0).values).abs().mean(0)


def _check_pair(a: Tensor, b: Tensor) -> None:
    """Raise unless a and b are (m, d), both."""
    for name, v in (("a", a), ("b", b)):
        arguments.floats(name, v, "m", "d")
    if a.shape != b.shape:
        raise ValueError(
            f"a is {tuple(a.shape)} and b is {tuple(b.shape)}: take as many examples of each"
        )


def moments_shift(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """How far each unit's mean and standard deviation move from `a` to `b`.

    Args:
        a, b: values of d units on m examples, (m, d).

    Returns:
        |mean_b - mean_a| and |std_b - std_a|, each (d,); std is biased (divided by m). Values that
        are not finite make them NaN.

    Raises:
        TypeError, ValueError: as `wasserstein`.

    >>> moments_shift(torch.tensor([[0.0], [2.0]]), torch.tensor([[1.0], [5.0]]))
    (tensor([2.]), tensor([1.]))
    """
    _check_pair(a, b)
    (mean_a, var_a), (mean_b, var_b) = moments(a, 0), moments(b, 0)
    return (mean_b - mean_a).abs(), (var_b.sqrt() - var_a.sqrt()).abs()


def learned(net: MLP) -> list[list[str]]:
    """Names of the learned values of each layer, from the input up, the head last.

    >>> learned(MLP((4, 3, 2)))
    [['layers.0.linear.weight', 'layers.0.linear.bias'], ['head.weight', 'head.bias']]
    """
    groups = [[f"layers.{i}.{name}" for name, _ in layer.named_parameters()]
              for i, layer in enumerate(net.layers)]  # fmt: skip
    return [*groups, [f"head.{name}" for name, _ in net.head.named_parameters()]]


def gradients(
    net: MLP, values: dict[str, Tensor], x: Tensor, y: Tensor, names: list[str]
) -> dict[str, Tensor]:
    """Gradients of the training loss in `names`, at `values`; nothing is changed.

    Args:
        net: run in training mode, on `values` in place of its own.
        values: parameters and buffers by name. Running statistics do not move in it, and noisy BN
            draws the same noise whenever `values` holds the same seed and step.
        x, y: a batch, (m, features) and (m,).
        names: which parameters.
    """
    values = dict(values)  # buffers that move in training are written into this copy
    with torch.enable_grad():
        values |= {k: values[k].detach().requires_grad_() for k in names}
        inputs = [values[k] for k in names]
        loss = F.cross_entropy(functional_call(net.train(), values, (x,)), y)
        return dict(zip(names, torch.autograd.grad(loss, inputs), strict=True))


def gradient_shift(
    net: MLP, values: dict[str, Tensor], x: Tensor, y: Tensor, lr: Tensor | float
) -> dict[str, Tensor]:
    """How the gradient of each layer changes when the layers below it take their step.

    G_k  = dL/dW_k at (W_1, ..., W_n)
    G'_k = dL/dW_k at (W_1 - lr G_1, ..., W_(k-1) - lr G_(k-1), W_k, ..., W_n), on the same batch

    "The layers below" move with all they learn (weights, biases, gamma, beta); the gradient
    compared is that of the weight matrix. BN uses the batch's statistics at both points, noisy BN
    the same noise. Layer 1 has nothing below it: its shift is 0, its cosine 1.

    Args:
        net: an MLP of n - 1 hidden layers and a head; only its structure is used.
        values: its parameters and buffers by name.
        x, y: the batch of the step, (m, features) and (m,).
        lr: learning rate of the step.

    Returns:
        "shift" ||G_k - G'_k||, "norm" ||G_k||, and "cosine" of the angle between the two, each
        (n,), the head last.

    Source: Santurkar et al. (2018), Definition 2.1.
    """
    groups = learned(net)
    step = gradients(net, values, x, y, [name for group in groups for name in group])
    moved, rows = dict(values), list[tuple[Tensor, Tensor, Tensor]]()
    for k, group in enumerate(groups):
        weight = group[0]
        before = step[weight]
        after = gradients(net, moved, x, y, [weight])[weight] if k else before
        rows.append(compare(before, after))
        for name in group:
            moved[name] = values[name] - lr * step[name]
    shift, norm, cosine = (torch.stack(column) for column in zip(*rows, strict=True))
    return {"shift": shift, "norm": norm, "cosine": cosine}


def compare(g: Tensor, h: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """||g - h||, ||g|| and the cosine of the angle between them, scalars.

    Scaled first, since the squares of tiny gradients underflow.
    """
    tiny = torch.finfo(g.dtype).tiny
    a, b = (v / v.abs().max().clamp_min(tiny) for v in (g, h))
    cosine = (a * b).sum() / (a.square().sum() * b.square().sum()).sqrt().clamp_min(tiny)
    return (g - h).square().sum().sqrt(), g.square().sum().sqrt(), cosine
