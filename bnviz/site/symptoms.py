"""Symptoms, their causes and remedies: the entries of `book/troubles/`, one file for each kind.

A file has `kind` (its heading), `about` (a sentence) and `entries`; files stand in the order of
their names. An entry has

    id, title   a name for links; the symptom in the words of the one who has it
    messages    what a framework prints, literally: `says`, and either `by`, code that makes
                PyTorch say it, or `from`, the name of the framework and the source
    words       names of options and attributes, as one would search for them
    cause       two to four sentences
    check       Python whose last line is true where it is this; of no use for some
    remedy      a sentence, and `code` that does it
    see         CHAPTER#SECTION or CHAPTER; `figures` names of figures
    findings    kinds of finding with which `bnviz.examine` names it
    framework   where the code is not for PyTorch; it is shown and not run

`given` plants the fault and `fine` something harmless that looks like it; `after` is what a reader
does between remedy and next check; `cures: false` where the remedy acts before the fault. They are
for the tests, and not shown.
"""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docutils.nodes import make_id

__all__ = ["Kind", "Message", "Symptom", "files", "read", "sections"]

_FIELDS = {"id", "title", "cause", "remedy", "see"}
_TESTS = {"given", "fine", "after", "cures"}
_OPTIONAL = {"messages", "words", "check", "code", "figures", "findings", "framework"}
_FENCE = re.compile(r"^(`{3,}|:{3,}).*?^\1", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,4} (.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Message:
    """What a framework prints.

    Attributes:
        says: the words, as they are printed.
        by: code that makes PyTorch print them; "" where another framework does.
        source: that framework, and where the words are found in it.
    """

    says: str
    by: str = ""
    source: str = ""


@dataclass(frozen=True)
class Symptom:
    """One entry; the module's docstring says what its fields are."""

    id: str
    title: str
    cause: str
    remedy: str
    see: tuple[tuple[str, str], ...]  # (address, words), such as ("steps.html#why", "Why ε?")
    messages: tuple[Message, ...] = ()
    words: tuple[str, ...] = ()
    check: str = ""
    code: str = ""
    figures: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    framework: str = ""
    given: str = ""
    fine: str = ""
    after: str = ""
    cures: bool = True


@dataclass(frozen=True)
class Kind:
    """Entries of one kind, under one heading."""

    kind: str
    about: str
    entries: tuple[Symptom, ...]


def files(book: Path) -> list[Path]:
    """The files of a book's symptoms, in their order; none if it has none."""
    return sorted((book / "troubles").glob("*.yml"))


def read(book: Path) -> list[Kind]:
    """All symptoms of a book's folder, by kind.

    Raises:
        ValueError: for a field that is missing or unknown, an id that stands twice, or a section
            that the book does not have; the message names the entry and the remedy.
    """
    known = sections(book)
    kinds, seen = [], set()
    for path in files(book):
        text = yaml.safe_load(path.read_text(encoding="utf-8"))
        entries = tuple(_symptom(row, known) for row in text["entries"])
        for entry in entries:
            if entry.id in seen:
                raise ValueError(f"{path.name}: {entry.id} stands twice; rename one of them")
            seen.add(entry.id)
        kinds.append(Kind(text["kind"], text["about"], entries))
    return kinds


def sections(book: Path) -> dict[str, dict[str, str]]:
    """Of every page: the names of its sections in addresses, with their titles; "" is the page's.

    >>> from pathlib import Path
    >>> sections(Path("book"))["steps"]["a-batch-of-two"]
    'A batch of two'
    """
    found = {}
    for path in sorted(p for p in book.iterdir() if p.suffix in (".md", ".ipynb")):
        titles = [t.strip() for t in _HEADING.findall(_FENCE.sub("", _prose(path)))]
        found[path.stem] = {make_id(t): t for t in titles} | {"": titles[0] if titles else ""}
    return found


def _prose(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    cells = json.loads(text)["cells"]
    return "\n\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "markdown")


def _symptom(row: dict, known: dict[str, dict[str, str]]) -> Symptom:
    name = row.get("id", "an entry without id")
    if missing := _FIELDS - set(row):
        raise ValueError(f"{name} has no {sorted(missing)}; add them to it")
    if unknown := set(row) - _FIELDS - _OPTIONAL - _TESTS:
        raise ValueError(f"{name} has {sorted(unknown)}; known are {sorted(_FIELDS | _OPTIONAL)}")
    if make_id(name) != name:
        raise ValueError(f"{name!r} cannot stand in an address; write {make_id(name)!r}")
    lists = {key: tuple(row.get(key, ())) for key in ("words", "figures", "findings")}
    fields: dict[str, Any] = {key: row[key] for key in set(row) - {"see", "messages"}} | lists
    messages = tuple(_message(m, name) for m in row.get("messages", ()))
    see = tuple(_place(place, known, name) for place in row["see"])
    return Symptom(**fields, messages=messages, see=see)


def _message(row: dict, name: str) -> Message:
    if set(row) not in ({"says", "by"}, {"says", "from"}):
        raise ValueError(f"{name}: a message has `says`, and `by` or `from`; got {sorted(row)}")
    return Message(row["says"], row.get("by", ""), row.get("from", ""))


def _place(place: str, known: dict[str, dict[str, str]], name: str) -> tuple[str, str]:
    page, _, section = place.partition("#")
    if section not in known.get(page, {}):
        near = sorted(known.get(page, known))
        raise ValueError(f"{name}: the book has no {place!r}; there are {near}")
    titles = known[page]
    words = f"{titles['']}, {titles[section]}" if section else titles[""]
    return f"{page}.html" + (f"#{section}" if section else ""), words
