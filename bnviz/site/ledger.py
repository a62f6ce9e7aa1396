"""The claims ledger: what the sources say, what was measured, and an honest verdict.

A row of `book/claims.yml` holds words and places of numbers, never the numbers: each is read from
what a stored notebook printed, or from a stored experiment.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nbformat
import yaml

from bnviz import experiments
from bnviz.figure.explorer import readable, typeset
from bnviz.site.parts import Part, read_part

__all__ = ["VERDICTS", "Claim", "read"]

VERDICTS = ("holds", "holds when", "not supported here", "error found", "cannot be measured here")
_FIELDS = {"id", "claim", "sources", "chapter", "measured", "verdict"}
_OPTIONAL = {"figure", "numbers", "why", "parts"}


@dataclass(frozen=True)
class Claim:
    """One row, its numbers filled in.

    Attributes:
        id: C01 to C33.
        claim: what the sources say, in our words; Markdown, as are `measured` and `why`.
        sources: such as ("S0", "S3").
        chapter: name of its file in book/, without ending.
        figure: name of the figure that shows it, or "".
        measured: a sentence with numbers.
        verdict: one of `VERDICTS`.
        why: the condition, or what stands against it; "" where the verdict says all.
        commands: what recomputes the numbers.
        parts: statements of the claim whose verdicts are computed.
    """

    id: str
    claim: str
    sources: tuple[str, ...]
    chapter: str
    measured: str
    verdict: str
    commands: tuple[str, ...]
    figure: str = ""
    why: str = ""
    parts: tuple[Part, ...] = ()


def read(book: Path) -> list[Claim]:
    """All claims of a book's folder, in order.

    Raises:
        ValueError: for a row with missing or unknown fields, an unknown verdict, or a number that
            is not found where the row says; the message names the row and the remedy.
    """
    rows = yaml.safe_load((book / "claims.yml").read_text(encoding="utf-8"))
    return [_claim(row, book) for row in rows]


def _claim(row: dict, book: Path) -> Claim:
    name = row.get("id", "a row without id")
    if missing := _FIELDS - set(row):
        raise ValueError(f"{name} has no {sorted(missing)}; add them to claims.yml")
    if unknown := set(row) - _FIELDS - _OPTIONAL:
        raise ValueError(f"{name} has {sorted(unknown)}; known are {sorted(_FIELDS | _OPTIONAL)}")
    if row["verdict"] not in VERDICTS:
        raise ValueError(f"{name}: verdict {row['verdict']!r} is not one of {VERDICTS}")
    places = row.get("numbers", {})
    try:
        values = {key: _number(place, book) for key, place in places.items()}
        measured = row["measured"].format(**values)
        parts = tuple(map(read_part, row.get("parts", ())))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    if unused := [key for key in places if f"{{{key}}}" not in row["measured"]]:
        raise ValueError(f"{name}: its sentence does not use {unused}; take them out of claims.yml")
    words = {key: row.get(key, "") for key in ("figure", "why")}
    fields = {key: row[key] for key in ("id", "claim", "chapter", "verdict")} | words
    commands = tuple(dict.fromkeys(_command(place) for place in places.values()))
    return Claim(
        **fields,
        sources=tuple(row["sources"]),
        measured=measured,
        commands=commands,
        parts=parts,
    )


def _command(place: dict) -> str:
    if "notebook" in place:
        return f"make notebooks NB=book/{place['notebook']}.ipynb"
    return f"python -m bnviz.experiments {place['experiment']}"


def _number(place: dict, book: Path) -> str:
    """What stands at a place, as text; it may be several numbers and words between them."""
    if "notebook" in place:
        text = _printed(book / f"{place['notebook']}.ipynb", place["find"])
    else:
        text = _stored(place["experiment"], place["key"], place.get("format", ".0f"))
    return _NUMBER.sub(lambda found: typeset(found.group()), text)


_NUMBER = re.compile(r"(?<![\w.])-?\d[\d.]*(?:e[+-]\d+)?(?!\w)")
_PLAIN = {"True": "yes", "False": "no", "nan": "NaN"}  # what Python prints, as one says it


def _printed(notebook: Path, pattern: str) -> str:
    """The group of a pattern in what a notebook printed, where it must stand exactly once."""
    cells = nbformat.read(notebook, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    printed = "\n".join(output.get("text", "") for output in outputs)
    found = re.findall(pattern, printed, re.MULTILINE)
    if len(found) != 1 or not isinstance(found[0], str):
        raise ValueError(
            f"{pattern!r} with one group should stand once in what {notebook.name} printed, and "
            f"gives {found}: run the notebook again, or mend the pattern"
        )
    return _PLAIN.get(found[0].strip(), found[0].strip())


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
