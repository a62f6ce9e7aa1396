"""What was measured, as tables for a notebook."""

from collections.abc import Iterable, Sequence
from html import escape

from bnviz import explorers
from bnviz.bench.results import load

__all__ = ["Grid", "Table", "Targets", "line", "verdict"]


class Table:
    """The rows of a group; a notebook shows it as HTML, a terminal as text.

    Args:
        group: one that `python -m bnviz.bench` has measured.
        compared: True for the rows that have another side, False for the rest; None for all.

    Raises:
        FileNotFoundError: for a group that was never measured.
    """

    def __init__(self, group: str, compared: bool | None = None):
        self.result = load(group)
        self.rows = [
            row
            for row in self.result["rows"]
            if compared is None or bool(row["against"]) is compared
        ]

    def __repr__(self) -> str:
        return "\n".join(line(row) for row in self.rows)

    def _repr_html_(self) -> str:
        columns = self._columns()
        cells = zip(*(cells for _, cells in columns), strict=True)
        return _html([name for name, _ in columns], cells, _how(self.result))

    def _columns(self) -> list[tuple[str, list[str]]]:
        """Heading and cells of each column; what is the same in all rows stands in the heading."""
        rows = self.rows
        unit = {row["unit"] for row in rows}
        (shared,) = unit if len(unit) == 1 else ("",)
        in_head, in_cell = (f", {shared}" if shared else ""), ("" if shared else " ")

        def number(row: dict, side: str) -> str:
            return f"{row[side]:g}{in_cell}{row['unit'] if in_cell else ''}"

        def spread(row: dict) -> str:
            return "{:g} to {:g}".format(*row["quartiles"])

        columns = [("measured", [row["what"] for row in rows])]
        if all(row["against"] for row in rows):
            others = {row["against"] for row in rows}
            if len(others) > 1:
                columns.append(("against", [row["against"] for row in rows]))
            there = "there" if len(others) > 1 else others.pop()
            columns.append((f"here{in_head}", [number(row, "ours") for row in rows]))
            columns.append((f"{there}{in_head}", [number(row, "theirs") for row in rows]))
            columns.append(("ratio", [f"{row['ratio']:g}" for row in rows]))
        else:
            columns.append((f"median{in_head}", [number(row, "ours") for row in rows]))
        columns.append(("quartiles", [spread(row) for row in rows]))
        targets = {_limit(row) for row in rows}
        if len(targets) == 1 < len(rows) and targets != {""}:
            columns.append((targets.pop(), [_met(row) for row in rows]))
        elif targets != {""}:
            columns.append(("target", [verdict(row) for row in rows]))
        more = {name: None for row in rows for name in row["more"]}
        for name in more:
            cells = [f"{row['more'][name]:.3g}" if name in row["more"] else "" for row in rows]
            columns.append((name, cells))
        return columns


class Grid:
    """The medians of a group that measured several things of each figure: a line for each figure.

    Args:
        group: one whose rows are called "FIGURE: THING".

    Raises:
        FileNotFoundError: for a group that was never measured.
    """

    def __init__(self, group: str):
        self.result = load(group)
        self.lines: dict[str, dict[str, dict]] = {}
        for row in self.result["rows"]:
            figure, thing = row["what"].split(": ")
            self.lines.setdefault(figure, {})[thing] = row

    def __repr__(self) -> str:
        return "\n".join(line(row) for row in self.result["rows"])

    def _repr_html_(self) -> str:
        things: dict[str, dict] = {}
        for rows in self.lines.values():
            things |= rows
        head = [_comma(f"{thing}, {row['unit']}", _limit(row)) for thing, row in things.items()]
        cells = (
            [figure, *(f"{row['ours']:g}" + _flag(row) for row in rows.values())]
            for figure, rows in self.lines.items()
        )
        return _html(["figure", *head], cells, _how(self.result))


class Targets:
    """Every target, what was measured, and whether that meets it.

    Args:
        *groups: names that `python -m bnviz.bench` knows.

    Raises:
        FileNotFoundError: for a group that was never measured.
    """

    def __init__(self, *groups: str):
        kinds: dict[tuple, list[dict]] = {}
        for group in groups:
            for row in load(group)["rows"]:
                if row["target"] is not None:
                    what = f"{row['group']}: {_thing(row)}"
                    if row["against"]:
                        what += f", against {row['against']}"
                    kinds.setdefault((what, _limit(row)), []).append(row)
        self.lines = [
            [what, _found(rows), limit, _missed(rows)] for (what, limit), rows in kinds.items()
        ]

    def __repr__(self) -> str:
        return "\n".join(" | ".join(cells) for cells in self.lines)

    def _repr_html_(self) -> str:
        note = "Where a line stands for many figures: the least and the most."
        return _html(["measured", "found", "target", ""], self.lines, note)


def _thing(row: dict) -> str:
    """What was measured; the same words for all figures."""
    figure, _, thing = row["what"].partition(": ")
    return _comma("each figure", thing) if figure in explorers.names() else row["what"]


def _found(rows: list[dict]) -> str:
    ratios = [row["ratio"] for row in rows]
    ends = " to ".join(f"{ratio:g}" for ratio in sorted({min(ratios), max(ratios)}))
    return f"ratio {ends}" if rows[0]["against"] else f"{ends} {rows[0]['unit']}"


def _missed(rows: list[dict]) -> str:
    missed = [row["what"].partition(": ")[0] for row in rows if not row["met"]]
    if len(missed) == len(rows):
        return "missed"
    return f"missed by {', '.join(missed)}" if missed else "met"


def _comma(*parts: str) -> str:
    return ", ".join(filter(None, parts))


def _html(head: Sequence[str], lines: Iterable[Sequence[str]], note: str) -> str:
    """A table that scrolls by itself; `note` is HTML."""
    first = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in lines
    )
    return (
        '<div class="bnviz-bench-frame" tabindex="0" role="region" aria-label="measured">'
        f'<table class="bnviz-bench"><thead><tr>{first}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
        f'<p class="bnviz-bench-note">{note}</p>'
    )


def _how(result: dict) -> str:
    """Machine, date and command of a result, as HTML."""
    machine = result["machine"]
    return (
        f"{machine['processor']}, {machine['cores']} cores, PyTorch {machine['torch']}; "
        f"{result['date']}. "
        f"Recompute: <code>python -m bnviz.bench {result['group']}</code>"
    )


def _limit(row: dict) -> str:
    """The target of a row in words; empty without one."""
    if row["target"] is None:
        return ""
    return f"{'at most' if row['faster'] == 'less' else 'at least'} {row['target']:g}"


def _met(row: dict) -> str:
    return "" if row["target"] is None else "met" if row["met"] else "missed"


def _flag(row: dict) -> str:
    return " (missed)" if _met(row) == "missed" else ""


def verdict(row: dict) -> str:
    """The target of a row in words, and whether it is met; empty without one."""
    return f"{_limit(row)}: {_met(row)}" if _limit(row) else ""


def line(row: dict) -> str:
    """One row as text."""
    low, high = row["quartiles"]
    theirs = "" if row["theirs"] is None else f"{row['theirs']:g}"
    sides = f"{row['ours']:>7g} {theirs:>7} {row['unit']}"
    ratio = f"{row['ratio']:g} ({low:g} to {high:g})"
    more = " ".join(f"{name} {value:.3g}" for name, value in row["more"].items())
    return (
        f"{row['what']:44} {row['against']:26} {sides:19} {ratio:24} {verdict(row)} {more}".strip()
    )
