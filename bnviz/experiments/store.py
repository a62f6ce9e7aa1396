"""Results as small JSON files: one column of numbers per line, equal text for equal results."""

import json
from pathlib import Path
from typing import Any

from bnviz.experiments.experiment import cells

__all__ = ["FOLDER", "as_json", "read", "save"]

FOLDER = Path(__file__).parent / "results"


def read(name: str, folder: str | Path = FOLDER) -> dict[str, Any]:
    """The result `NAME.json` of a folder, its rows as dicts, the cell in each.

    Raises:
        FileNotFoundError: when there is none of that name.
    """
    path = Path(folder) / f"{name}.json"
    if not path.exists():
        stored = ", ".join(sorted(p.stem for p in Path(folder).glob("*.json"))) or "none"
        raise FileNotFoundError(
            f"no result is stored for {name!r} (stored: {stored}); "
            f"python -m bnviz.experiments {name} computes it"
        )
    result = json.loads(path.read_text(encoding="utf-8"))
    result["rows"] = _rows(result["grid"], result["rows"])
    return result


def save(result: dict[str, Any], folder: str | Path = FOLDER) -> Path:
    """Write a result as `NAME.json` and return the path."""
    path = Path(folder) / f"{result['name']}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(as_json(result), encoding="utf-8")
    return path


def as_json(result: dict[str, Any]) -> str:
    """The text of the file. Rows become columns, and what the grid says is not repeated."""
    columns = {k: [row[k] for row in result["rows"]] for k in result["rows"][0]}
    columns = {k: column for k, column in columns.items() if k not in result["grid"]}
    parts = {k: _text(v) for k, v in result.items() if k not in ("rows", "summary")}
    for key, value in (("summary", result["summary"]), ("rows", columns)):
        parts[key] = "{\n" + ",\n".join(f'  "{k}": {_text(v)}' for k, v in value.items()) + "\n }"
    return "{\n" + ",\n".join(f' "{k}": {text}' for k, text in parts.items()) + "\n}\n"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _rows(grid: dict[str, list], columns: dict[str, list]) -> list[dict]:
    rows = zip(*columns.values(), strict=True)
    if not grid:  # the rows say themselves which they are
        return [dict(zip(columns, row, strict=True)) for row in rows]
    return [
        {**cell, **dict(zip(columns, row, strict=True))}
        for cell, row in zip(cells(grid), rows, strict=True)
    ]
