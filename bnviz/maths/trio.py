"""Three networks as one stack of tensors: plain, with BN, with noisy BN, in this order.

`nets.MLP` and `noisy.add_noise` say the same in modules, and a test compares the two. Stacked along
a first axis, one matrix product serves all, and a page takes a step in a fraction of the time.
"""

from functools import cache

import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments
from bnviz.maths import prng
from bnviz.maths.nets import MLP, activate, initialise
from bnviz.maths.noisy import N_MU, N_SIGMA, R

__all__ = ["DEPTH", "NETS", "WIDTH", "forward", "gradient_shift", "losses", "noise", "start"]

NETS = ("plain", "bn", "noisy")
DEPTH, WIDTH, CLASSES, EPS = 4, 32, 10, 1e-5
_BN = torch.tensor([0.0, 1.0, 1.0])  # whether a network normalises

Parameters = dict[str, Tensor]
Noise = tuple[Tensor, Tensor]


@cache
def _model() -> MLP:
    """Names and shapes of what one network learns."""
    return MLP((64, *[WIDTH] * DEPTH, CLASSES))


def start(seed: Tensor, scale: Tensor) -> Parameters:
    """The same starting values for all three; those of network n stand at [n].

    w0 ... w3: weights of the hidden layers, (3, out, in); gamma and beta, (3, DEPTH, WIDTH); head,
    (3, CLASSES, WIDTH), and offset, (3, CLASSES). The plain network has gamma 1 for good, and beta
    is its bias.
    """
    values = initialise(_model(), seed, scale)
    one = {f"w{i}": values[f"layers.{i}.linear.weight"] for i in range(DEPTH)}
    one |= {"gamma": torch.ones(DEPTH, WIDTH), "beta": torch.zeros(DEPTH, WIDTH)}
    one |= {"head": values["head.weight"], "offset": values["head.bias"]}
    return {name: torch.stack([value] * len(NETS)) for name, value in one.items()}


def noise(examples: int, seed: Tensor, step: Tensor, strength: Tensor) -> Noise:
    """Factors and offsets of `noisy.NoisyBatchNorm`, each (DEPTH, examples, WIDTH).

    mu ~ U(-n_mu, n_mu), sigma ~ U(1, n_sigma) for each unit and step; for each example
    m ~ U(mu - r, mu + r), s ~ N(sigma, r^2). `strength` multiplies n_mu, n_sigma - 1 and r.
    """
    key = prng.fold_in(seed, step)
    u = prng.uniform((2, DEPTH, 1, WIDTH), key, 0)
    mu, sigma = N_MU * (2 * u[0] - 1), (N_SIGMA - 1) * u[1]
    each = prng.uniform((DEPTH, examples, WIDTH), key, 1)
    offsets = mu + R * (2 * each - 1)
    factors = sigma + R * prng.normal((DEPTH, examples, WIDTH), key, 2)
    return 1 + strength * factors, strength * offsets


def forward(
    p: Parameters, x: Tensor, disturbance: Noise, activation: Tensor
) -> tuple[Tensor, Tensor]:
    """Logits and what the activations receive, of a stack of n networks: n / 3 plain ones, then
    as many with BN, then as many with noisy BN.

    Args:
        p: values as in `start`, each (n, ...).
        x: (m, 64), the same examples for all.
        disturbance: from `noise`, for m examples, at least 2.
        activation: index into `nets.ACTIVATIONS`.

    Returns:
        logits (n, m, CLASSES); and (2, DEPTH, n, m, WIDTH): what the activations receive, and the
        same before the normalisation.

    Raises:
        TypeError: unless x is a tensor of floating-point numbers.
        ValueError: for x or noise of another shape, or a stack that is not n / 3 of each.
    """
    arguments.floats("x", x, "m", p["w0"].shape[2])
    for name, part in zip(("factors", "offsets"), disturbance, strict=True):
        arguments.floats(name, part, DEPTH, x.shape[0], WIDTH)
    if len(p["w0"]) % 3 or x.shape[0] < 2:
        raise ValueError(f"{len(p['w0'])} networks on {x.shape[0]} rows: need 3 n, and 2 rows")
    n = len(p["w0"])
    bn = _BN.repeat_interleave(n // 3)[:, None, None]  # (n, 1, 1)
    h = x.expand(n, *x.shape)
    seen: tuple[list[Tensor], list[Tensor]] = ([], [])
    for i in range(DEPTH):
        z = torch.bmm(h, p[f"w{i}"].mT)  # (n, m, WIDTH)
        mean = z.mean(1, keepdim=True)  # (n, 1, WIDTH)
        centred = z - mean
        inverse = torch.rsqrt((centred * centred).mean(1, keepdim=True) + EPS)
        gamma, beta = (p[name][:, i, None] for name in ("gamma", "beta"))  # (n, 1, WIDTH)
        # a network without BN subtracts 0 and multiplies by 1
        y = (z - bn * mean) * (gamma * torch.where(bn > 0.5, inverse, 1.0)) + beta
        clean, noisy = torch.split(y, [n - n // 3, n // 3])
        y = torch.cat([clean, disturbance[0][i] * noisy + disturbance[1][i]])
        seen[0].append(y.detach())
        seen[1].append(z.detach() + (1 - bn) * beta.detach())
        h = activate(y, activation, fast=True)
    logits = torch.bmm(h, p["head"].mT) + p["offset"][:, None]
    return logits, torch.stack([torch.stack(v) for v in seen])


def losses(logits: Tensor, y: Tensor) -> Tensor:
    """Cross-entropy of each network: (n, m, CLASSES), (m,) -> (n,). Classes are not checked.

    Raises TypeError, ValueError: for logits that are no floats, or another shape.
    """
    arguments.floats("logits", logits, "n", "m", CLASSES)
    arguments.tensor("y", y, logits.shape[1])
    right = (y[:, None] == torch.arange(CLASSES)).float()  # (m, CLASSES)
    return (logits.logsumexp(2) - (right * logits).sum(2)).mean(1)


def gradients(
    p: Parameters, names: list[str], x: Tensor, y: Tensor, disturbance: Noise, activation: Tensor
) -> tuple[Tensor, Parameters]:
    """Losses, (n,), and their gradients in some of the parameters, each like the parameter."""
    with torch.enable_grad():
        values = p | {k: p[k].detach().requires_grad_() for k in names}
        loss = losses(forward(values, x, disturbance, activation)[0], y)
        found = torch.autograd.grad(loss.sum(), [values[k] for k in names])
    found = dict(zip(names, found, strict=True))
    if "gamma" in found:
        found["gamma"] = found["gamma"] * _BN[:, None, None]  # the plain network has none
    return loss.detach(), found


def gradient_shift(
    p: Parameters,
    g: Parameters,
    lr: Tensor,
    x: Tensor,
    y: Tensor,
    disturbance: Noise,
    activation: Tensor,
) -> tuple[Tensor, Tensor]:
    """`ics.gradient_shift` of the hidden layers of all three, in one pass through a taller stack.

    Copy k = 2 ... DEPTH of the networks has taken the step in layers 1 to k - 1, and no others.

    Args:
        p, g: values and their gradients, as from `start` and `gradients`.
        lr, x, y, disturbance, activation: of the step.

    Returns:
        ||G_k - G'_k|| / ||G_k|| and the cosine of their angle, each (3, DEPTH). Layer 1 has nothing
        below it: 0 and 1. NaN where a gradient is 0.

    Source: Santurkar et al. (2018), Definition 2.1.
    """
    copies = torch.arange(1, DEPTH)[:, None]  # of these layers, counted from 0, G' is wanted
    moves = {f"w{i}": (copies > i).float()[:, :, None] for i in range(DEPTH)}
    moves |= dict.fromkeys(("gamma", "beta"), (copies > torch.arange(DEPTH)).float()[:, :, None])
    tall: Parameters = {}
    for name, value in p.items():
        here = value[:, None].expand(3, DEPTH - 1, *value.shape[1:])
        if name in moves:
            here = here - lr * moves[name] * g[name][:, None]
        tall[name] = here.flatten(0, 1)  # (3 (DEPTH - 1), ...)
    weights = [f"w{i}" for i in range(1, DEPTH)]
    _, after = gradients(tall, weights, x, y, disturbance, activation)
    changed, cosine = [torch.zeros(3)], [torch.ones(3)]
    for k, name in enumerate(weights):
        a, b = g[name], torch.unflatten(after[name], 0, (3, DEPTH - 1))[:, k]  # (3, WIDTH, WIDTH)
        largest = a.abs().amax((1, 2), keepdim=True).clamp_min(1e-30)  # or squares underflow
        a, b = a / largest, b / largest
        size, other, gap = ((v * v).sum((1, 2)).sqrt() for v in (a, b, a - b))
        changed.append(gap / size)
        cosine.append((a * b).sum((1, 2)) / (size * other))
    return torch.stack(changed, 1), torch.stack(cosine, 1)
