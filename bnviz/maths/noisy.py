"""Noisy Batch Normalization: BN whose output is disturbed anew at every training step.

Santurkar and others built it to part two things that BN does at once. It keeps the benefits of BN
for training, if it has them, but its output distributions jump at every step.
"""

from typing import Any

import torch
from torch import Tensor, nn

from bnviz.maths import _arguments as arguments
from bnviz.maths import prng
from bnviz.maths.nets import MLP, BatchNorm

__all__ = ["ChannelNoise", "NoisyBatchNorm", "add_noise"]

N_MU, N_SIGMA, R = 0.5, 1.25, 0.1  # the published constants


class NoisyBatchNorm(BatchNorm):
    """Batch normalisation, then noise whose distribution is drawn anew at every training step.

    For each unit j, once per step t:      mu_j ~ U(-n_mu, n_mu),  sigma_j ~ U(1, n_sigma)
    For each example i of the batch:       m_ij ~ U(mu_j - r, mu_j + r),  s_ij ~ N(sigma_j, r^2)
    Output:                                s_ij * y_ij + m_ij,  with y = BN(x), gamma and beta done

    So the mean of unit j over the batch jumps by mu_j, and its spread is multiplied by sigma_j:
    a shift that no layer above can foresee. The noise takes no part in the backward pass except as
    the factor s. In evaluation it is replaced by its mean: y * (1 + n_sigma) / 2.

    The noise is a function of (`seed`, `step`, `index`), with `step` counting the training passes:
    buffers both, so that a simulation carries them in its state.

    Args:
        features: d; the input is (m, d).
        index: number of the layer, from 0 to 2**29 - 1; each draws its own noise.
        n_mu, n_sigma, r: sizes of the noise as above, finite; n_mu, r >= 0 and n_sigma >= 1.
        options: those of `nets.BatchNorm`, such as `eps` and `momentum`.

    Raises:
        ValueError: for constants out of range, and input that is not (m, d).
        TypeError, ValueError: as `nets.BatchNorm`.

    Source: Santurkar et al. (2018), section 2.1 and appendix, n_mu = 0.5, n_sigma = 1.25, r = 0.1.
    They give one r for the mean and one for the scale; that the scale's is a standard deviation,
    and that the noise comes after gamma and beta, is how we read them. Evaluation is our choice.

    >>> bn = NoisyBatchNorm(1, n_mu=0, n_sigma=1, r=0)  # no noise left
    >>> [round(y, 4) for y in bn(torch.tensor([[1.0], [3.0]])).flatten().tolist()]
    [-1.0, 1.0]
    """

    seed: Tensor
    step: Tensor

    def __init__(
        self,
        features: int,
        index: int = 0,
        *,
        n_mu: float = N_MU,
        n_sigma: float = N_SIGMA,
        r: float = R,
        **options: Any,
    ):
        super().__init__(features, **options)
        arguments.whole("index", index, 0, 2**29 - 1)  # four streams each, of 32 bits
        for name, value in (("n_mu", n_mu), ("n_sigma", n_sigma), ("r", r)):
            arguments.number(name, value)
        if n_mu < 0 or r < 0 or n_sigma < 1:
            raise ValueError(f"need n_mu, r >= 0 and n_sigma >= 1, got {n_mu}, {r}, {n_sigma}")
        self.index, self.n_mu, self.n_sigma, self.r = index, n_mu, n_sigma, r
        self.register_buffer("seed", torch.tensor(0.0))
        self.register_buffer("step", torch.tensor(0.0))

    def forward(self, input: Tensor) -> Tensor:
        x = input
        arguments.tensor("x", x, "m", self.features)
        y = super().forward(x)  # (m, d)
        if not self.training:
            return y * (1 + self.n_sigma) / 2
        s, m = self.noise(x.shape[0])  # len() would fix the batch size of a traced graph
        self.step = self.step + 1
        return s * y + m

    def noise(self, examples: int) -> tuple[Tensor, Tensor]:
        """Factors s and offsets m that the next training pass will use, each (examples, d)."""
        key = prng.fold_in(self.seed, self.step)
        constants = self.n_mu, self.n_sigma, self.r
        return _drawn(key, 4 * self.index, examples, self.features, constants)


def _drawn(
    key: Tensor, first: int, examples: int, d: int, constants: tuple[float, float, float]
) -> tuple[Tensor, Tensor]:
    """Factors s and offsets m, each (examples, d), from four streams of one key."""
    n_mu, n_sigma, r = constants
    mu = n_mu * (2 * prng.uniform((d,), key, first) - 1)  # (d,)
    sigma = 1 + (n_sigma - 1) * prng.uniform((d,), key, first + 1)  # (d,)
    m = mu + r * (2 * prng.uniform((examples, d), key, first + 2) - 1)
    s = sigma + r * prng.normal((examples, d), key, first + 3)
    return s, m


class ChannelNoise(nn.Module):
    """The noise of `NoisyBatchNorm` behind any layer with channels, (m, c, h, w).

    Each channel is a unit: it has its own mu and sigma at a step, and each example its own factor
    and offset, the same at all places of a map. In evaluation the mean of the factor remains.

    Args:
        channels: c.
        index: number of the layer, from 0 to 2**29 - 1; each draws its own noise.
        seed: of the noise, a whole number in [0, 2**24].

    Raises TypeError, ValueError: for arguments out of range, and input of another shape.

    Source: Santurkar et al. (2018); that a channel is a unit is our reading.

    >>> ChannelNoise(3).eval()(torch.ones(1, 3, 1, 1)).flatten().tolist()
    [1.125, 1.125, 1.125]
    """

    seed: Tensor
    step: Tensor

    def __init__(self, channels: int, index: int = 0, seed: int = 0):
        super().__init__()
        arguments.whole("channels", channels, 1)
        arguments.whole("index", index, 0, 2**29 - 1)
        arguments.whole("seed", seed, 0, 2**24)
        self.channels, self.index = channels, index
        self.register_buffer("seed", torch.tensor(float(seed)))
        self.register_buffer("step", torch.tensor(0.0))

    def forward(self, y: Tensor) -> Tensor:
        arguments.tensor("y", y, "m", self.channels, "h", "w")
        if not self.training:
            return y * (1 + N_SIGMA) / 2
        key = prng.fold_in(self.seed, self.step).cpu()  # the same noise on every device
        drawn = _drawn(key, 4 * self.index, len(y), self.channels, (N_MU, N_SIGMA, R))
        s, m = (v.to(y)[:, :, None, None] for v in drawn)  # (m, c, 1, 1)
        self.step = self.step + 1
        return s * y + m


def add_noise(net: MLP, seed: int = 0, **constants: float) -> MLP:
    """Put a NoisyBatchNorm in the place of every BatchNorm of `net`, in place; returns `net`.

    Args:
        net: an MLP with BatchNorm; its learned values and running statistics are kept.
        seed: of the noise, a whole number in [0, 2**24]: the buffer is a float32.
        constants: `n_mu`, `n_sigma`, `r`.

    Raises:
        TypeError: for a net that is no MLP.
        ValueError: for a net without BatchNorm, a seed or constants out of range; the net is then
            unchanged.

    >>> net = add_noise(MLP((4, 3, 2), norm=True), seed=1)
    >>> net(torch.eye(4)).equal(net(torch.eye(4)))
    False
    """
    arguments.instance("net", net, MLP, "a bnviz.maths.nets.MLP")
    arguments.whole("seed", seed, 0, 2**24)
    olds = [layer.norm for layer in net.layers if isinstance(layer.norm, BatchNorm)]
    if len(olds) < len(net.layers):
        raise ValueError(
            "noise goes after BatchNorm, and this net has none; build it with norm=True"
        )
    news = [NoisyBatchNorm(o.features, i, eps=o.eps, **constants) for i, o in enumerate(olds)]
    for layer, old, new in zip(net.layers, olds, news, strict=True):
        new.load_state_dict(old.state_dict(), strict=False)
        new.momentum, new.seed = old.momentum, torch.tensor(float(seed))
        layer.norm = new
    return net
