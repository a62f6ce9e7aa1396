"""`bias`: the bias of the layer before moves its output, and BN takes the movement out again."""

from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from bnviz.figure.controls import Slider, Toggle
from bnviz.figure.explorer import Binding, Explorer
from bnviz.maths import measures, prng
from bnviz.maths.data import digits
from bnviz.templates.bias import bias

__all__ = ["BIAS"]

BATCH, UNITS, EPS = 128, 8, 1e-5
UNIT = 3  # the one whose bias is moved
LOW, HIGH, BINS = -12.0, 12.0, 96
REACH, POINTS = 4.0, 41  # the loss curves run from -REACH to REACH
_TANGENT = 1.0  # half the length of a tangent, along the axis


@cache
def _layer() -> tuple[Tensor, Tensor, Tensor]:
    """W u for a batch of digits, (BATCH, UNITS); the head's weights, (UNITS, 10); the classes."""
    data = digits()
    w = prng.normal((64, UNITS), torch.tensor(4), stream=0) / 8  # 1 / sqrt(fan-in)
    head = prng.normal((UNITS, 10), torch.tensor(4), stream=1)
    return data.x_train[:BATCH] @ w, head, data.y_train[:BATCH]


def _loss(z: Tensor) -> Tensor:
    """Cross-entropy of sigmoid(z) times the head, for each (BATCH, UNITS) in z: (..., m, d)."""
    _, head, y = _layer()
    log_p = F.log_softmax(torch.sigmoid(z) @ head, dim=-1)  # (..., m, 10)
    right = torch.eye(10)[y]  # (m, 10)
    return -(log_p * right).sum(-1).mean(-1)


def _normalise(z: Tensor, reference: Tensor) -> Tensor:
    """BN(z) with the statistics of `reference` over the batch, the last axis but one."""
    mu = reference.mean(-2, keepdim=True)
    var = ((reference - mu) ** 2).mean(-2, keepdim=True)  # biased
    return (z - mu) * torch.rsqrt(var + EPS)


def _add(z: Tensor, shift: Tensor) -> Tensor:
    """`shift` on the unit that is shown; a vector of shifts gives a copy for each."""
    return z + shift[..., None, None] * torch.eye(UNITS)[UNIT]


def compute(b: Tensor, beta: Tensor, frozen: Tensor) -> dict[str, Tensor]:
    """z = W u + b, BN(z) + beta, the loss along b and along beta, and the slopes by autograd."""
    u, _, _ = _layer()

    def plain(b: Tensor, beta: Tensor) -> Tensor:
        return _add(u, b)

    def normed(b: Tensor, beta: Tensor) -> Tensor:
        z = _add(u, b)
        x_hat = torch.where(frozen > 0.5, _normalise(z, u), _normalise(z, z))
        return _add(x_hat, beta)

    with torch.enable_grad():
        b, beta = b.detach().requires_grad_(), beta.detach().requires_grad_()
        plain_loss, bn_loss = _loss(plain(b, beta)), _loss(normed(b, beta))
        (plain_b,) = torch.autograd.grad(plain_loss, b)
        bn_b, bn_beta = torch.autograd.grad(bn_loss, (b, beta))
    b, beta, plain_loss, bn_loss = (t.detach() for t in (b, beta, plain_loss, bn_loss))
    z, y = plain(b, beta)[:, UNIT], normed(b, beta)[:, UNIT]
    along = torch.linspace(-REACH, REACH, POINTS)
    outputs = {"plain_z_mean": z.mean(), "bn_y_mean": y.mean()}
    outputs["moved"] = (y - normed(torch.zeros(()), beta)[:, UNIT]).abs().max()
    for name, v in (("plain_z", z), ("bn_y", y)):
        outputs[f"{name}_density"] = measures.density(v.unsqueeze(0), LOW, HIGH, BINS)[0]
    outputs |= _slope("plain_b", b, plain_loss, plain_b, _loss(plain(along, beta)))
    outputs |= _slope("bn_b", b, bn_loss, bn_b, _loss(normed(along, beta)))
    outputs |= _slope("bn_beta", beta, bn_loss, bn_beta, _loss(normed(b, along)))
    return outputs


def _slope(name: str, at: Tensor, loss: Tensor, gradient: Tensor, curve: Tensor):
    """A loss curve, the point on it, and the tangent that autograd's gradient gives."""
    ends = torch.tensor([-_TANGENT, _TANGENT])
    return {
        f"{name}_curve": curve,
        f"{name}_at": at.reshape(1),
        f"{name}_loss": loss.reshape(1),
        f"{name}_tangent_x": at + ends,
        f"{name}_tangent_y": loss + gradient * ends,
        f"{name}_gradient": gradient,
    }


def _bindings() -> tuple[Binding, ...]:
    bindings = [
        Binding("plain_z_density", "plain-z", "y"),
        Binding("bn_y_density", "bn-y", "y"),
    ]
    for name in ("plain_b", "bn_b", "bn_beta"):
        uid = name.replace("_", "-")
        bindings += [
            Binding(f"{name}_curve", f"{uid}-curve", "y"),
            Binding(f"{name}_tangent_x", f"{uid}-tangent", "x"),
            Binding(f"{name}_tangent_y", f"{uid}-tangent", "y"),
            Binding(f"{name}_at", f"{uid}-point", "x"),
            Binding(f"{name}_loss", f"{uid}-point", "y"),
        ]
    return tuple(bindings)


BIAS = Explorer(
    name="bias",
    title="A bias in front of BN does nothing",
    caption=(
        "One unit of an untrained layer, for a batch of 128 digits. Above: its z = Wu + b, and "
        "what BN makes of it. Below: the loss as its b, or its β, is varied; the dot is where you "
        "are, and the thick line is the gradient, drawn as a slope. Move b: which curves are flat?"
    ),
    controls=(
        Slider("b", "b, bias of the layer before", -REACH, REACH, 2, 0.1),
        Slider("beta", "β, bias of BN", -REACH, REACH, 0, 0.1),
        Toggle("frozen", "evaluation: statistics frozen at b = 0", False),
    ),
    compute=compute,
    figure=bias((LOW, HIGH, BINS), (-REACH, REACH, POINTS)),
    bindings=_bindings(),
    readout=(
        "With b = {b:.1f} the mean of z is {plain_z_mean:.2f}, and the mean of BN(z) + β is "
        "{bn_y_mean:.2f}; b has moved none of its values by more than {moved:.4f}. Gradient of the "
        "loss: in b {plain_b_gradient:.4f} without BN and {bn_b_gradient:.4f} with BN; in β "
        "{bn_beta_gradient:.4f}."
    ),
    counts={"plain_z_density": "histogram", "bn_y_density": "histogram"},
)
