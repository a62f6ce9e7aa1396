"""A measured group as a table for a notebook."""

from html import escape

from bnviz.bench.results import load

__all__ = ["Table", "line", "verdict"]


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
        head = "".join(f"<th>{escape(name)}</th>" for name, _ in columns)
        lines = zip(*(cells for _, cells in columns), strict=True)
        body = "".join(
            f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>" for cells in lines
        )
        machine = self.result["machine"]
        note = (
            f"{machine['processor']}, {machine['cores']} cores, PyTorch {machine['torch']}, "
            f"onnxruntime {machine['onnxruntime']}; {self.result['date']}. "
            f"Recompute: <code>python -m bnviz.bench {self.result['group']}</code>"
        )
        return (
            '<div class="bnviz-bench-frame" tabindex="0" role="region" aria-label="measured">'
            f'<table class="bnviz-bench"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
            f'<p class="bnviz-bench-note">{note}</p>'
        )

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
        if any(row["met"] is not None for row in rows):
            columns.append(("target", [verdict(row) for row in rows]))
        more = {name: None for row in rows for name in row["more"]}
        for name in more:
            cells = [f"{row['more'][name]:.3g}" if name in row["more"] else "" for row in rows]
            columns.append((name, cells))
        return columns


def verdict(row: dict) -> str:
    """The target of a row in words, and whether it is met; empty without one."""
    if row["target"] is None:
        return ""
    limit = "at most" if row["faster"] == "less" else "at least"
    return f"{limit} {row['target']:g}: {'met' if row['met'] else 'missed'}"


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
