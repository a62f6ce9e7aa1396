"""What an examination finds, and how it says so."""

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from textwrap import fill, indent

__all__ = ["LEVELS", "Finding", "Findings"]

LEVELS = ("serious", "look", "note")


@dataclass(frozen=True)
class Finding:
    """One fault.

    Attributes:
        kind: a short name, such as "stale statistics".
        level: "serious": results are wrong or will be; "look": measured, may be meant; "note":
            costs nothing but room.
        layers: names of the layers, most affected first.
        evidence: what was measured, with numbers.
        meaning: what that does.
        remedy: lines of code, or what to do.
        link: page and section of the book.
        size: how large the effect is, for sorting within a level.
    """

    kind: str
    level: str
    layers: tuple[str, ...]
    evidence: str
    meaning: str
    remedy: str
    link: str
    size: float = 0.0

    def __post_init__(self) -> None:
        if self.level not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, got {self.level!r}")

    def __str__(self) -> str:
        head = f"{self.level.upper()}: {self.kind}"
        if self.layers:
            more = f" and {len(self.layers) - 4} more" if len(self.layers) > 4 else ""
            head += f" ({', '.join(map(repr, self.layers[:4]))}{more})"
        parts = [fill(text, 78) for text in (self.evidence, self.meaning)]
        return "\n".join(
            [fill(head, 82), *(indent(part, "    ") for part in parts),
             indent(self.remedy, "    | "), f"    book: {self.link}"]
        )  # fmt: skip


class Findings(list[Finding]):
    """Findings, most serious first; printed, they are a report."""

    def __init__(self, found: Iterable[Finding] = (), looked: str = ""):
        super().__init__(sorted(found, key=lambda f: (LEVELS.index(f.level), -f.size)))
        self.looked = looked

    def __str__(self) -> str:
        head = f"Examined: {self.looked}." if self.looked else ""
        if not self:
            return f"{head} Nothing found.".strip()
        return "\n\n".join(filter(None, [head, *map(str, self)]))

    def __repr__(self) -> str:
        if not self:
            return "Findings: nothing found"
        counts = {level: sum(f.level == level for f in self) for level in LEVELS}
        told = ", ".join(f"{n} {level}" for level, n in counts.items() if n)
        return f"Findings: {told}"

    def _repr_html_(self) -> str:
        return f"<p>{escape(repr(self))}</p>"  # the report itself has been printed

    @property
    def kinds(self) -> list[str]:
        """The kind of each finding."""
        return [f.kind for f in self]
