"""What stands at a place: a number that a stored notebook printed, or one of a stored experiment.

A place is a dict, as in `book/claims/`: `{notebook: steps, find: 'a pattern with (one group)'}`
or `{experiment: depth, key: summary.a.b, format: .1f}`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nbformat

from bnviz import experiments
from bnviz.figure.explorer import readable, typeset

__all__ = ["command", "in_words", "numbers_at"]

_NUMBER = re.compile(r"(?<![\w.])-?\d[\d.]*(?:e[+-]\d+)?(?!\w)")
_PLAIN = {"True": "yes", "False": "no", "nan": "NaN"}  # what Python prints, as one says it
_VALUE = re.compile(r"(-?\d+(?:\.\d+)?(?:e[+-]?\d+)?)(?:( of )(\d+)|(\s?%))?")


def command(place: Mapping) -> str:
    """What computes it again."""
    if "notebook" in place:
        return f"make notebooks NB=book/{place['notebook']}.ipynb"
    return f"python -m bnviz.experiments {place['experiment']}"


def in_words(place: Mapping, book: Path) -> str:
    """What stands there, as a sentence would say it; it may be several numbers and words.

    Raises:
        ValueError: nothing stands there, or the pattern fits twice.
    """
    text = _text(place, book)
    return _NUMBER.sub(lambda found: typeset(found.group()), _PLAIN.get(text, text))


def numbers_at(place: Mapping, book: Path) -> list[float]:
    """All numbers that stand there: "3 of 5" is 0.6, "87 %" is 0.87, "0.2 to 0.4" are two.

    Raises:
        ValueError: as in `in_words`, and where there is no number.
    """
    text = _text(place, book)
    found = [_value(*groups) for groups in _VALUE.findall(text)]
    if not found:
        raise ValueError(f"{text!r} holds no number to judge: print the number, not a yes or no")
    return found


def _value(number: str, of: str, whole: str, percent: str) -> float:
    divisor = float(whole) if of else 100.0 if percent else 1.0
    return float(number) / divisor


def _text(place: Mapping, book: Path) -> str:
    if "notebook" in place:
        return _printed(book / f"{place['notebook']}.ipynb", place["find"])
    return _stored(place["experiment"], str(place["key"]), place.get("format", ".0f"))


def _printed(notebook: Path, pattern: str) -> str:
    """The group of a pattern in what a notebook printed, where it must stand exactly once."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "\n".join(map(_as_text, outputs))
    found = re.findall(pattern, printed, re.MULTILINE)
    if len(found) != 1 or not isinstance(found[0], str):
        raise ValueError(
            f"{pattern!r} with one group should stand once in what {notebook.name} printed, and "
            f"gives {found}: run the notebook again, or mend the pattern"
        )
    return found[0].strip()


def _as_text(output: Mapping) -> str:
    """What was printed, or a table as text."""
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def _stored(experiment: str, key: str, spec: str) -> str:
    """A number of a stored experiment; dots join the parts of the key."""
    value: Any = experiments.load(experiment)
    for part in key.split("."):
        if isinstance(value, list):
            value = value[int(part)]
            continue
        if part not in value:
            raise ValueError(f"{experiment} has no {key!r}: {part!r} is not one of {list(value)}")
        value = value[part]
    return value if isinstance(value, str) else readable(value, spec)
