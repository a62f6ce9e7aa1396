"""How large things are: whole numbers, or polynomials in the size B of the minibatch.

A graph is compiled once for every batch size, so an axis may be as long as `B`, a buffer `64 * B`.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import sympy

__all__ = ["Size", "product", "size_of"]


@dataclass(frozen=True)
class Size:
    """The polynomial sum of c[k] * B ** k with whole coefficients; c has no zeros at its end.

    >>> (Size((0, 64)) + 3).code(), Size((0, 64)).at(32), Size((5,)).code()
    ('64 * B + 3', 2048, '5')
    """

    coefficients: tuple[int, ...]

    def __add__(self, other: "Size | int") -> "Size":
        a, b = self.coefficients, size_of(other).coefficients
        longest = max(len(a), len(b))
        a, b = (c + (0,) * (longest - len(c)) for c in (a, b))
        return _trimmed(x + y for x, y in zip(a, b, strict=True))

    def __mul__(self, other: "Size | int") -> "Size":
        a, b = self.coefficients, size_of(other).coefficients
        found = [0] * max(len(a) + len(b) - 1, 0)
        for i, x in enumerate(a):
            for j, y in enumerate(b):
                found[i + j] += x * y
        return _trimmed(found)

    @property
    def fixed(self) -> int | None:
        """The number, where the batch does not matter."""
        return None if len(self.coefficients) > 1 else sum(self.coefficients)

    def at(self, batch: int) -> int:
        """The number for one size of the batch."""
        return sum(c * batch**k for k, c in enumerate(self.coefficients))

    def code(self) -> str:
        """The same in C, where B is a variable."""
        terms = []
        for k, c in reversed(list(enumerate(self.coefficients))):
            if c:
                powers = ["B"] * k
                terms.append(" * ".join([str(c), *powers] if c != 1 or not k else powers))
        return " + ".join(terms) or "0"


def _trimmed(coefficients: Iterable[int]) -> Size:
    kept = list(coefficients)
    while kept and not kept[-1]:
        kept.pop()
    return Size(tuple(kept))


def size_of(value) -> Size:
    """A `Size` of a number, of a symbolic size of PyTorch's, or itself.

    Raises:
        ValueError: for a size that is no polynomial in the batch, such as half of it.
    """
    if isinstance(value, Size):
        return value
    if isinstance(value, int):
        return _trimmed([value])
    expression = sympy.sympify(value.node.expr)
    symbols = sorted(expression.free_symbols, key=str)
    if not symbols:
        return _trimmed([int(expression)])
    if len(symbols) > 1 or not expression.is_polynomial(*symbols):
        raise ValueError(f"a size of {expression} is no polynomial in the size of the minibatch")
    found = sympy.Poly(expression, *symbols).all_coeffs()
    return _trimmed(int(c) for c in reversed(found))


def product(sizes: Iterable[Size]) -> Size:
    """All multiplied; 1 for none."""
    found = size_of(1)
    for size in sizes:
        found = found * size
    return found
