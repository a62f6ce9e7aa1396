"""What an exercise may ask for, and what each kind says of a wrong answer.

An answer's `fault` gets what the reader gave and returns None if it is right, else a sentence that
helps: first what is no possible answer (another type, another shape), then a mistake that is known,
last how far off it is. It does not say what would be right.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

__all__ = ["NOT_YET", "Answer", "Array", "Choice", "Function", "Judge", "Meets", "Number"]

NOT_YET = "not filled in yet"


class Answer(Protocol):
    """What is asked for under one name."""

    def fault(self, given: Any) -> str | None:
        """None if it is right, else what is wrong."""
        ...


@dataclass(frozen=True)
class Number:
    """A number, right to within an absolute distance.

    Args:
        right: the answer.
        within: how far off still counts; 0 for numbers that are counted.
        wrong: what known mistakes come to -> what to say of them. A value next to it counts too.
    """

    right: float
    within: float = 0.0
    wrong: Mapping[float, str] = field(default_factory=dict)

    def fault(self, given: Any) -> str | None:
        try:
            value = np.asarray(given, dtype=float)
        except (TypeError, ValueError, RuntimeError):
            return f"a number is wanted, this is {_kind(given)}"
        if value.size != 1:
            return f"one number is wanted, this has shape {value.shape}"
        number = value.item()
        if not np.isfinite(number):
            return f"{number} is not finite"
        if abs(number - self.right) <= self.within:
            return None
        for mistake, why in self.wrong.items():
            if abs(number - mistake) <= self.within:
                return why
        return "too large" if number > self.right else "too small"


@dataclass(frozen=True)
class Array:
    """An array, every number of it right to within an absolute distance.

    Args:
        right: the answer; NumPy, PyTorch and nested lists are compared alike.
        within: how far off each number may be.
        wrong: pairs of what a known mistake comes to, and what to say of it.
    """

    right: Any
    within: float
    wrong: Sequence[tuple[Any, str]] = ()

    def fault(self, given: Any) -> str | None:
        right = _array(self.right)
        try:
            value = _array(given)
        except (TypeError, ValueError, RuntimeError):
            return f"an array is wanted, this is {_kind(given)}"
        if value.size == right.size == 1:
            value = value.reshape(right.shape)  # a number, however it is wrapped
        if value.shape != right.shape:
            return f"shape {value.shape}, wanted {right.shape}"
        if not np.isfinite(value).all():
            return f"{np.count_nonzero(~np.isfinite(value))} of {value.size} are not finite"
        off = np.abs(value - right)
        if off.max() <= self.within:
            return None
        for mistake, why in self.wrong:
            if Array(mistake, self.within).fault(value) is None:
                return why
        bad = np.count_nonzero(off > self.within)
        return f"{bad} of {value.size} numbers are off, by up to {off.max():.2g}"


@dataclass(frozen=True)
class Choice:
    """One of some words.

    Args:
        right: the answer.
        wrong: every other word -> why it is not that one.
    """

    right: str
    wrong: Mapping[str, str]

    def fault(self, given: Any) -> str | None:
        if isinstance(given, str):
            if given == self.right:
                return None
            if given in self.wrong:
                return self.wrong[given]
        words = ", ".join(map(repr, sorted([self.right, *self.wrong])))
        return f"one of {words} is wanted, got {given!r}"


@dataclass(frozen=True)
class Function:
    """A function that gives what another one gives.

    Args:
        right: a function that is right.
        cases: the arguments of each call. Arrays are copied before each, so that a function that
            changes its arguments does no harm.
        within: how far off each returned number may be.
        wrong: pairs of a function with a known mistake, and what to say of it. Tried in order on
            all cases; the first that gives what the reader's gives is named.
    """

    right: Callable[..., Any]
    cases: Sequence[tuple[Any, ...]]
    within: float
    wrong: Sequence[tuple[Callable[..., Any], str]] = ()

    def fault(self, given: Any) -> str | None:
        if not callable(given):
            return f"a function is wanted, this is {_kind(given)}"
        found = []
        for case in self.cases:
            try:
                found.append(given(*map(_copy, case)))
            except Exception as error:  # the reader's own mistake, whatever it is
                return f"it raises {type(error).__name__}: {error}"
            if found[-1] is None or found[-1] is ...:
                return NOT_YET
        fault = self._against(self.right, found)
        if fault is None:
            return None
        for mistake, why in self.wrong:
            if self._against(mistake, found) is None:
                return why
        return fault

    def _against(self, function: Callable[..., Any], found: list) -> str | None:
        """None if a function gives what was found in all cases, else the first difference."""
        for case, y in zip(self.cases, found, strict=True):
            fault = Array(function(*map(_copy, case)), self.within).fault(y)
            if fault:
                return f"called with {_told(case)}: {fault}"
        return None


@dataclass(frozen=True)
class Judge:
    """A function that says yes or no, such as a test of a layer.

    Args:
        accepts: pairs of what it must say yes to, and what to say if it does not.
        refuses: pairs of what it must say no to, and what to say if it does not.
    """

    accepts: Sequence[tuple[Any, str]]
    refuses: Sequence[tuple[Any, str]]

    def fault(self, given: Any) -> str | None:
        if not callable(given):
            return f"a function is wanted, this is {_kind(given)}"
        for yes, cases in ((True, self.accepts), (False, self.refuses)):
            for case, why in cases:
                try:
                    said = given(_copy(case))
                    if said is None or said is ...:
                        return NOT_YET
                    agrees = bool(said) is yes  # raises for an array of several
                except Exception as error:  # the reader's own mistake, whatever it is
                    return f"it raises {type(error).__name__}: {error}"
                if not agrees:
                    return why
        return None


@dataclass(frozen=True)
class Meets:
    """Anything that passes some tests, where more than one answer is right.

    Args:
        tests: pairs of a test and what to say if it says no (or raises). In order: the first that
            fails speaks.
    """

    tests: Sequence[tuple[Callable[[Any], bool], str]]

    def fault(self, given: Any) -> str | None:
        for test, why in self.tests:
            try:
                passed = bool(test(given))
            except Exception as error:  # the reader's own mistake, whatever it is
                return f"{why} (it raises {type(error).__name__}: {error})"
            if not passed:
                return why
        return None


def _array(value: Any) -> np.ndarray:
    detach = getattr(value, "detach", None)
    return np.asarray(detach() if detach else value, dtype=float)


def _copy(value: Any) -> Any:
    for name in ("clone", "copy"):
        if hasattr(value, name):
            return getattr(value, name)()
    return value


def _kind(value: Any) -> str:
    name = type(value).__name__
    return f"{'an' if name[0].lower() in 'aeiou' else 'a'} {name}"


def _told(case: tuple[Any, ...]) -> str:
    shapes = (f"shape {tuple(a.shape)}" if getattr(a, "ndim", 0) else repr(a) for a in case)
    return ", ".join(shapes)
