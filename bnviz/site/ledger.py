"""The claims ledger: what the sources say, what was measured, and an honest verdict.

A row of `book/claims.yml` holds words and places of numbers, never the numbers: each is read from
what a stored notebook printed, or from a stored experiment. Nor does it hold a verdict: that
follows from its parts.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from bnviz.experiments.verdicts import together
from bnviz.site.parts import Part, read_part
from bnviz.site.places import command, in_words

__all__ = ["Claim", "read"]

_FIELDS = {"id", "claim", "sources", "chapter", "measured", "parts"}
_OPTIONAL = {"figure", "numbers", "why", "question"}


@dataclass(frozen=True)
class Claim:
    """One row, its numbers filled in.

    Attributes:
        id: C01 to C38.
        claim: what the sources say, in our words; Markdown, as are `measured` and `why`.
        sources: such as ("S0", "S3").
        chapter: name of its file in book/, without ending.
        figure: name of the figure that shows it, or "".
        measured: a sentence with numbers.
        verdict: one of `verdicts.VERDICTS`, from those of the parts.
        parts: the statements that the claim makes, each with its evidence.
        commands: what recomputes the numbers of the sentence.
        why: the condition, or what stands against it; "" where the parts say all.
    """

    id: str
    claim: str
    sources: tuple[str, ...]
    chapter: str
    measured: str
    verdict: str
    parts: tuple[Part, ...]
    commands: tuple[str, ...]
    figure: str = ""
    why: str = ""


def read(book: Path) -> list[Claim]:
    """All claims of a book's folder, in order.

    Raises:
        ValueError: for a row with missing or unknown fields, a part without evidence, or a number
            that is not found where the row says; the message names the row and the remedy.
    """
    rows = yaml.safe_load((book / "claims.yml").read_text(encoding="utf-8"))
    return [_claim(row, book) for row in rows]


def _claim(row: dict, book: Path) -> Claim:
    name = row.get("id", "a row without id")
    if missing := _FIELDS - set(row):
        raise ValueError(f"{name} has no {sorted(missing)}; add them to claims.yml")
    if unknown := set(row) - _FIELDS - _OPTIONAL:
        raise ValueError(f"{name} has {sorted(unknown)}; known are {sorted(_FIELDS | _OPTIONAL)}")
    places = row.get("numbers", {})
    try:
        values = {key: in_words(place, book) for key, place in places.items()}
        measured = row["measured"].format(**values)
        parts = tuple(read_part(part, book) for part in row["parts"])
        verdict = together([part.verdict for part in parts], bool(row.get("question")))
    except (KeyError, ValueError) as error:
        raise ValueError(f"{name}: {error}") from error
    if unused := [key for key in places if f"{{{key}}}" not in row["measured"]]:
        raise ValueError(f"{name}: its sentence does not use {unused}; take them out of claims.yml")
    words = {key: row.get(key, "") for key in ("figure", "why")}
    fields = {key: row[key] for key in ("id", "claim", "chapter")} | words
    commands = tuple(dict.fromkeys(map(command, places.values())))
    return Claim(
        **fields,
        sources=tuple(row["sources"]),
        measured=measured,
        verdict=verdict,
        parts=parts,
        commands=commands,
    )
