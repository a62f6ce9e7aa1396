"""Run the book's notebooks and store their outputs: `python -m bnviz.tools.notebooks [PATH ...]`.

The first code cell of each is `bnviz/tools/_colab_cell.py`, which does nothing outside Google
Colab. With `--check` nothing runs: it only says what a stored notebook must not hold.
"""

import argparse
import json
import re
import sys
import time
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path

import nbformat
from nbformat import NotebookNode

__all__ = ["clean", "find", "for_colab", "problems", "run"]

_BOOK = Path("book")
_WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
_DRAWING = "application/vnd.plotly.v1+json"
_COLAB = Path(__file__).with_name("_colab_cell.py").read_text(encoding="utf-8").strip()
_COLAB_LOOKS = {"tags": ["remove-cell"], "jupyter": {"source_hidden": True}, "cellView": "form"}
_CELL_SECONDS = 600
# What draws from torch's own generator: parameters of layers, Dropout, random tensors without one.
_DRAWS = re.compile(
    r"nn\.(?:init\.|Linear|Conv\d|Dropout)"
    r"|torch\.rand\w*\((?!(?:[^()]|\([^()]*\))*generator=)"
)
_OUTPUT_BYTES = 100_000
_NOTEBOOK_BYTES = 500_000


def find(folder: str | Path = _BOOK) -> list[Path]:
    """Return the notebooks in `folder` and below, sorted, without those that a tool made."""
    return sorted(
        path
        for path in Path(folder).rglob("*.ipynb")
        if not any(part.startswith((".", "_build")) for part in path.relative_to(folder).parts)
    )


def for_colab(notebook: NotebookNode) -> NotebookNode:
    """Return a copy whose first code cell installs bnviz on Google Colab; pages leave it out."""
    notebook = deepcopy(notebook)
    first = next((i for i, c in enumerate(notebook.cells) if c.cell_type == "code"), 0)
    if not _is_for_colab(notebook):
        notebook.cells.insert(first, nbformat.v4.new_code_cell(id="colab"))
    notebook.cells[first].update(source=_COLAB, metadata=NotebookNode(deepcopy(_COLAB_LOOKS)))
    return notebook


def _is_for_colab(notebook: NotebookNode) -> bool:
    first = next(iter(_code(notebook)), NotebookNode(source=""))
    return first.source.partition("\n")[0] == _COLAB.partition("\n")[0]


def run(path: str | Path) -> NotebookNode:
    """Return the notebook, clean, as a fresh kernel runs it in its folder; the file stays as it is.

    It gets the cell for Colab, unless it has it.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
        nbclient.exceptions.CellTimeoutError: a cell took longer than ten minutes.
    """
    from nbclient import NotebookClient

    path = Path(path)
    notebook = for_colab(nbformat.read(path, as_version=4))
    for cell in _code(notebook):
        cell.outputs, cell.execution_count = [], None
    NotebookClient(
        notebook,
        timeout=_CELL_SECONDS,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        record_timing=False,
        extra_arguments=["--log-level=ERROR"],
        store_widget_state=False,
    ).execute()
    return clean(notebook)


def clean(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without widgets and without what the next machine or run would change."""
    notebook = deepcopy(notebook)
    notebook.metadata.pop("widgets", None)
    notebook.metadata.get("language_info", {}).pop("version", None)
    notebook.metadata.kernelspec = {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
        cell.metadata.pop("collapsed", None)
    for cell in _code(notebook):
        for output in cell.outputs:
            output.get("data", {}).pop(_WIDGET_VIEW, None)
        cell.outputs = _merged(o for o in cell.outputs if "data" not in o or o.data)
    return notebook


def _merged(outputs: Iterable[NotebookNode]) -> list[NotebookNode]:
    """One output for what was printed in a row: where a stream is cut depends on the machine."""
    kept: list[NotebookNode] = []
    for output in outputs:
        last = kept[-1] if kept else NotebookNode()
        if output.output_type == "stream" and last.get("name") == output.name:
            last.text += output.text
        else:
            kept.append(output)
    return kept


def problems(path: str | Path) -> list[str]:
    """Return what a stored notebook holds that it must not, or lacks that it must have."""
    size = Path(path).stat().st_size
    notebook = nbformat.read(path, as_version=4)
    return [*_notebook_problems(notebook, size), *_cell_problems(notebook), *_unseeded(notebook)]


def _notebook_problems(notebook: NotebookNode, size: int) -> Iterator[str]:
    if size > _NOTEBOOK_BYTES:
        yield f"weighs {size:,} bytes, more than {_NOTEBOOK_BYTES:,}"
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    if kernel != "python3":
        yield f"its kernel is {kernel!r}, not 'python3'"
    if for_colab(notebook) != notebook:
        yield "its first code cell is not that of bnviz/tools/_colab_cell.py"
    if "widgets" in notebook.metadata:
        yield "holds widget state"
    elif clean(notebook).metadata != notebook.metadata:
        yield "holds metadata of the machine that ran it"


def _cell_problems(notebook: NotebookNode) -> Iterator[str]:
    expected = 0
    for index, cell in enumerate(notebook.cells):
        if "execution" in cell.metadata:
            yield f"cell {index}: holds the time at which it ran"
        if cell.cell_type != "code" or not cell.source.strip():
            continue
        expected += 1
        if cell.execution_count is None:
            yield f"cell {index}: was never run"
        elif cell.execution_count != expected:
            yield f"cell {index}: was run as number {cell.execution_count}, not {expected}"
        if _looks_away(cell):
            yield f"cell {index}: asks nbval to look away from more than a drawing"
        for output in cell.outputs:
            yield from (f"cell {index}: {problem}" for problem in _output_problems(output))


def _unseeded(notebook: NotebookNode) -> Iterator[str]:
    """Where a cell draws random numbers that the next run draws otherwise.

    A printed comparison then fails in one run of some thousand, on a machine that nobody watches.
    """
    for index, cell in enumerate(notebook.cells):
        if cell.cell_type != "code":
            continue
        if "torch.manual_seed(" in cell.source:
            return
        if drawn := _DRAWS.search(cell.source):
            yield f"cell {index}: {drawn[0]} without torch.manual_seed here or before"


def _looks_away(cell: NotebookNode) -> bool:
    """Whether nbval is told not to compare more than drawings, whose last digits may differ."""
    told = set(re.findall(r"nbval[-\w]*", f"{cell.source} {cell.metadata.get('tags')}".lower()))
    shown = {kind for output in cell.outputs for kind in output.get("data", {"text": ""})}
    return bool(told) and not (told == {"nbval-ignore-output"} and shown == {_DRAWING})


def _output_problems(output: NotebookNode) -> Iterator[str]:
    if output.output_type == "error":
        yield f"holds an error, {output.ename}"
    if _WIDGET_VIEW in output.get("data", {}):
        yield "holds a widget view"
    size = len(json.dumps(output).encode())
    if size > _OUTPUT_BYTES:
        yield f"has an output of {size:,} bytes, more than {_OUTPUT_BYTES:,}"


def _code(notebook: NotebookNode) -> list[NotebookNode]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def _store(path: Path) -> list[str]:
    from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

    print(f"{path} ... ", end="", flush=True)
    start = time.monotonic()
    try:
        notebook = run(path)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        print("failed; the stored outputs stay as they were", flush=True)
        return [str(error)]
    nbformat.write(notebook, path)
    print(f"{time.monotonic() - start:.1f} s", flush=True)
    return problems(path)


def main(argv: list[str] | None = None) -> int:
    """Run notebooks and store their outputs."""
    parser = argparse.ArgumentParser(
        prog="python -m bnviz.tools.notebooks", description=main.__doc__
    )
    parser.add_argument("paths", nargs="*", type=Path, help="notebooks or folders (book/)")
    parser.add_argument("--check", action="store_true", help="run nothing, only say what is wrong")
    options = parser.parse_args(argv)

    wrong = False
    for path in options.paths or [_BOOK]:
        if not path.exists():
            parser.error(f"there is no {path}")
        for notebook in find(path) if path.is_dir() else [path]:
            for problem in problems(notebook) if options.check else _store(notebook):
                print(f"{notebook}: {problem}", file=sys.stderr)
                wrong = True
    return int(wrong)


if __name__ == "__main__":
    sys.exit(main())
