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
        head = "".join(f"<th>{name}</th>" for name in self._head())
        body = "".join(f"<tr>{self._cells(row)}</tr>" for row in self.rows)
        machine = self.result["machine"]
        note = (
            f"{machine['processor']}, {machine['cores']} cores, PyTorch {machine['torch']}, "
            f"onnxruntime {machine['onnxruntime']}; {self.result['date']}. "
            f"Recompute: <code>python -m bnviz.bench {self.result['group']}</code>"
        )
        return (
            f'<div class="bnviz-bench-frame" tabindex="0" role="region" aria-label="measured">'
            f'<table class="bnviz-bench"><thead><tr>{head}</tr></thead>'
            f"<tbody>{body}</tbody></table></div>"
            f'<p class="bnviz-bench-note">{note}</p>'
        )

    def _compared(self) -> bool:
        return any(row["against"] for row in self.rows)

    def _head(self) -> tuple[str, ...]:
        more = tuple(self.rows[0]["more"])
        if self._compared():
            return ("measured", "against", "here", "there", "ratio (quartiles)", "target", *more)
        return ("measured", "median", "quartiles", "target", *more)

    def _cells(self, row: dict) -> str:
        low, high = row["quartiles"]
        spread = f"{low:g} to {high:g}"
        here = f"{row['ours']:g} {row['unit']}"
        cells = [row["what"]]
        if self._compared():
            there = "" if row["theirs"] is None else f"{row['theirs']:g} {row['unit']}"
            ratio = "" if row["theirs"] is None else f"<b>{row['ratio']:g}</b> ({spread})"
            cells += [row["against"], here, there, ratio]
        else:
            cells += [here, spread]
        cells += [verdict(row), *(f"{value:.3g}" for value in row["more"].values())]
        marked = (c if c.startswith("<b>") else escape(c) for c in cells)
        return "".join(f"<td>{cell}</td>" for cell in marked)


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
