"""The claims ledger: what the sources say, what was measured, and an honest verdict.

A row of `book/claims/CHAPTER.yml` holds words and places of numbers, never the numbers: each is
read from what a stored notebook printed (`find` has one group and matches once), or from a stored
experiment. Nor does it hold a verdict: that of a claim follows from its parts, and that of a part
from its data, by a rule (`experiments/verdicts.py`). A part says one thing, and brings one kind of
evidence:

    contest, against, measure, margin
        both sides tuned (`experiments/contest.py`); measure is accuracy or search
    experiment, by, values, margin, unit; each, where, less, ratio, missing
        rows of a sweep compared in pairs (`experiments/paired.py`). `by: {net: [bn, plain]}` is
        ours against theirs, `less` turns the claim round, `each` makes conditions, `ratio`
        compares factors
    numbers, limit {above, below}; fails
        what was printed or stored, against a limit. A failure is "not supported here";
        `fails: error found` where a proof or the source itself decides
    cannot
        why nothing here can measure it

`rival` names what else would explain the result. `question: true`: the claim asks, and is answered.
"""

from dataclasses import dataclass
from pathlib import Path

import yaml

from bnviz.experiments.verdicts import together
from bnviz.site.parts import Part, read_part
from bnviz.site.places import command, in_words

__all__ = ["Claim", "files", "read", "rows"]

_FIELDS = {"id", "claim", "sources", "chapter", "measured", "parts"}
_OPTIONAL = {"figure", "numbers", "why", "question"}


@dataclass(frozen=True)
class Claim:
    """One row, its numbers filled in.

    Attributes:
        id: C01 to C38 for the five sources, from C39 on for papers since.
        claim: what the sources say, in our words; Markdown, as are `measured` and `why`.
        sources: such as ("S0", "S3"), or ("Wu and He 2018",).
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
    return [_claim(row, book) for row in rows(book)]


def files(book: Path) -> list[Path]:
    """The files of a book's ledger, one for each chapter; none if it has no ledger."""
    return sorted((book / "claims").glob("*.yml"))


def rows(book: Path) -> list[dict]:
    """The rows of all files as they are written, in the order of their ids.

    Raises:
        ValueError: for a row in the file of another chapter.
    """
    found = []
    for path in files(book):
        for row in yaml.safe_load(path.read_text(encoding="utf-8")):
            if row.get("chapter") not in (path.stem, None):
                raise ValueError(
                    f"{row.get('id')} is in {path.name}; a claim of {row['chapter']} belongs into "
                    f"{row['chapter']}.yml"
                )
            found.append(row)
    return sorted(found, key=lambda row: row.get("id", ""))


def _claim(row: dict, book: Path) -> Claim:
    name = row.get("id", "a row without id")
    if missing := _FIELDS - set(row):
        raise ValueError(f"{name} has no {sorted(missing)}; add them to it")
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
        raise ValueError(f"{name}: its sentence does not use {unused}; take them out")
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
