"""Random numbers from pure arithmetic: one seed, one stream, in Python and in the page.

A hash of (seed, stream, counter) replaces a generator with hidden state. The same few integer
operations run in PyTorch, in a compiled figure and in JavaScript (`page/prng.js`), so a seed
gives the same initial weights and the same minibatches wherever a figure lives.

All integers stay below 2**63, so nothing overflows an int64.

A seed is a whole number in [0, 2**32 - 2]. Where it is a tensor its VALUE is not checked, because a
traced one has none. All functions raise TypeError for an argument of another type, and ValueError
for one that is out of its range or has another shape.
"""

import math

import torch
from torch import Tensor

from bnviz.maths import _arguments as arguments

__all__ = ["Shuffler", "below", "fold_in", "hash32", "normal", "permutation", "uniform"]

_MASK = 0xFFFFFFFF
_MULTIPLIERS = (0x7FEB352D, 0x31848BAB)  # odd and below 2**31: the products stay below 2**63
_SHIFTS = (16, 15)


def hash32(x: Tensor) -> Tensor:
    """Scramble integers: two rounds of xor-shift and multiply, modulo 2**32.

    `x` holds int64 values in [0, 2**32); so does the result. Equal in, equal out.

    >>> hash32(torch.tensor([0, 1, 2])).tolist()
    [0, 774041739, 1548083479]
    """
    if getattr(x, "dtype", None) != torch.int64:
        raise TypeError(f"x must be an int64 tensor, got {getattr(x, 'dtype', type(x).__name__)}")
    for multiplier, shift in zip(_MULTIPLIERS, _SHIFTS, strict=True):
        x = x ^ (x >> shift)
        x = (x * multiplier) & _MASK
    return x ^ (x >> 16)


def _stream(seed: Tensor, stream: int) -> Tensor:
    arguments.tensor("seed", seed)
    arguments.whole("stream", stream, 0)
    return hash32((hash32(seed.long() + 1) + stream) & _MASK)


def _bits(count: int, seed: Tensor, stream: int) -> Tensor:
    return hash32((torch.arange(count) + _stream(seed, stream)) & _MASK)  # (count,)


def _size(shape: tuple[int, ...]) -> int:
    """How many numbers a shape holds."""
    for n in shape:
        arguments.whole("a length in shape", n, 0)
    return math.prod(shape)


def normal(shape: tuple[int, ...], seed: Tensor, stream: int) -> Tensor:
    """Standard normal numbers by the Box-Muller transform of two hashed streams.

    z = sqrt(-2 ln u) cos(2 pi v), with u and v uniform on (0, 1].

    Args:
        shape: shape of the result.
        seed: whole number >= 0 as a scalar tensor; it may be a traced input of a graph.
        stream: which numbers of this seed; each weight matrix of a network takes its own.

    Source: Box and Muller (1958), "A note on the generation of random normal deviates".

    >>> normal((2,), torch.tensor(0), 0).shape
    torch.Size([2])
    """
    count = _size(shape)
    u = (_bits(count, seed, 2 * stream).float() + 1) / 2.0**32
    v = (_bits(count, seed, 2 * stream + 1).float() + 1) / 2.0**32
    return (torch.sqrt(-2 * torch.log(u)) * torch.cos(2 * torch.pi * v)).reshape(shape)


def uniform(shape: tuple[int, ...], seed: Tensor, stream: int) -> Tensor:
    """Numbers spread evenly over (0, 1].

    Args:
        shape: shape of the result.
        seed: whole number >= 0 as a scalar tensor; it may be a traced input of a graph.
        stream: which numbers of this seed; `normal` with the same seed and stream is not
            independent of them.

    >>> u = uniform((1000,), torch.tensor(0), 0)
    >>> bool((u > 0).all() and (u <= 1).all()), round(u.mean().item(), 1)
    (True, 0.5)
    """
    return ((_bits(_size(shape), seed, 2 * stream).float() + 1) / 2.0**32).reshape(shape)


def fold_in(seed: Tensor, number: Tensor) -> Tensor:
    """A new seed from a seed and a number, such as the step of a training run.

    Both are whole numbers >= 0 as scalar tensors, and may be traced inputs of a graph.

    >>> fold_in(torch.tensor(0), torch.tensor(7)) == fold_in(torch.tensor(0), torch.tensor(8))
    tensor(False)
    """
    arguments.tensor("number", number)
    salted = _stream(seed, 0x5EED) ^ hash32(number.long() + 1)  # streams this high are not drawn
    return hash32(salted) >> 1  # below 2**31: room for the + 1 of `_stream`


def below(power: int, count: int, seed: Tensor, stream: int) -> Tensor:
    """Whole numbers in [0, 2**power), power <= 32, each as likely as the others: int64, (count,).

    The lowest `power` bits of the hash, because a remainder by any other number would favour some.

    >>> below(2, 5, torch.tensor(0), 0).max() < 4
    tensor(True)
    """
    arguments.whole("power", power, 0, 32)
    arguments.whole("count", count, 0)
    return _bits(count, seed, stream) & (2**power - 1)


def permutation(n: int, seed: int, stream: int) -> Tensor:
    """The whole numbers below `n` in an order given by (seed, stream): sorted by their hash.

    >>> sorted(permutation(5, 0, 0).tolist())
    [0, 1, 2, 3, 4]
    """
    arguments.whole("n", n, 0)
    seed = arguments.seed_number(seed)
    return torch.argsort(_bits(n, torch.tensor(seed), stream), stable=True)


class Shuffler:
    """Rows of a data set in shuffled epochs, handed out in minibatches of any size.

    Every epoch visits each row once, in an order of its own; a minibatch may reach over the end of
    an epoch into the next. `page/prng.js` has the same class.

    Args:
        n: number of rows, at least 1.
        seed: whole number in [0, 2**32 - 2].

    Raises:
        TypeError: for n that is not a whole number, or a seed that is not a number.
        ValueError: for one out of its range; infinity and NaN are out of it.

    >>> rows = Shuffler(5, seed=0)
    >>> sorted(rows.take(3).tolist() + rows.take(2).tolist())
    [0, 1, 2, 3, 4]
    """

    def __init__(self, n: int, seed: int):
        arguments.whole("n", n, 1)
        self.n, self.seed = n, arguments.seed_number(seed)
        self._epoch, self._left = 0, torch.empty(0, dtype=torch.long)

    def take(self, m: int) -> Tensor:
        """The next `m` row numbers, int64 of shape (m,).

        Raises TypeError unless m is a whole number, ValueError unless 1 <= m <= n.
        """
        arguments.whole("m", m, -math.inf)
        if not 1 <= m <= self.n:
            raise ValueError(
                f"batch size {m} is outside [1, {self.n}]: the data has {self.n} rows; "
                "take a smaller batch"
            )
        while len(self._left) < m:
            order = permutation(self.n, self.seed, self._epoch)
            self._left = torch.cat([self._left, order])
            self._epoch += 1
        rows, self._left = self._left[:m], self._left[m:]
        return rows
