"""What was measured, as one small JSON file for each group: `results/GROUP.json`."""

import json
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bnviz.bench.rows import Row

__all__ = ["FOLDER", "load", "machine", "save"]

FOLDER = Path(__file__).parent / "results"
_PACKAGES = ("torch", "numpy", "ziglang", "plotly")


def load(group: str, folder: str | Path = FOLDER) -> dict[str, Any]:
    """The result of one group: when and on what it was measured, and its rows as dicts.

    Raises:
        FileNotFoundError: for a group that was never measured.
    """
    path = Path(folder) / f"{group}.json"
    if not path.exists():
        raise FileNotFoundError(
            f"{group!r} was never measured; python -m bnviz.bench {group} does it"
        )
    return json.loads(path.read_text(encoding="utf-8"))


def save(group: str, rows: list[Row], folder: str | Path = FOLDER) -> Path:
    """Write the rows of one group with date and machine; returns the path."""
    path = Path(folder) / f"{group}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    head = {"group": group, "date": f"{datetime.now(UTC):%Y-%m-%d}", "machine": machine()}
    lines = ",\n".join(
        "  " + json.dumps(row.to_dict(), ensure_ascii=False, allow_nan=False) for row in rows
    )
    text = json.dumps(head, ensure_ascii=False)[:-1] + f', "rows": [\n{lines}\n]}}\n'
    path.write_text(text, encoding="utf-8")
    return path


def machine() -> dict[str, str | int]:
    """What a reader needs to know of the machine to judge the numbers."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
