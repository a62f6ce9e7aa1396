"""`bnviz.tools.notebooks` on made-up notebooks: what it runs, strips and complains about."""

from collections.abc import Callable
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from bnviz.tools import notebooks

WIDGET = {"application/vnd.jupyter.widget-view+json": {"model_id": "1"}, "text/plain": "slider"}


def clean_notebook() -> NotebookNode:
    result = new_output("execute_result", {"text/plain": "5"}, execution_count=2)
    cells = [
        new_markdown_cell("# Title"),
        new_code_cell("2 + 3", execution_count=2, outputs=[result]),
        new_code_cell("print(1)", execution_count=3, outputs=[new_output("stream", text="1\n")]),
        new_code_cell(""),
    ]
    notebook = notebooks.for_colab(new_notebook(cells=cells))
    notebook.cells[1].execution_count = 1
    return notebooks.clean(notebook)


def stored(notebook: NotebookNode, folder: Path) -> Path:
    path = folder / "a notebook.ipynb"
    nbformat.write(notebook, path)
    return path


SPOILS: dict[str, Callable[[NotebookNode], object]] = {
    "cell 2: was never run": lambda n: n.cells[2].update(execution_count=None),
    "cell 3: was run as number 7, not 3": lambda n: n.cells[3].update(execution_count=7),
    "cell 2: holds the time": lambda n: n.cells[2].metadata.update(execution={}),
    "cell 2: holds an error, E": lambda n: n.cells[2].outputs.append(
        new_output("error", ename="E")
    ),
    "cell 2: holds a widget view": lambda n: n.cells[2].outputs[0].update(data=WIDGET),
    "cell 3: has an output of 1": lambda n: n.cells[3].outputs[0].update(text="1" * 100_000),
    "weighs 5": lambda n: n.cells[0].update(source="word " * 100_000),
    "its first code cell": lambda n: n.cells.pop(1),
    "its kernel is 'julia'": lambda n: n.metadata.kernelspec.update(name="julia"),
    "its kernel is None": lambda n: n.metadata.pop("kernelspec"),
    "holds widget state": lambda n: n.metadata.update(widgets={}),
    "metadata of the machine": lambda n: n.metadata.update(language_info={"version": "3.11.7"}),
    "cell 2: asks nbval": lambda n: n.cells[2].update(source="# NBVAL_IGNORE_OUTPUT\n2 + 3"),
    "cell 3: asks nbval": lambda n: n.cells[3].metadata.update(tags=["nbval-skip"]),
    "cell 2: nn.Linear without": lambda n: n.cells[2].update(source="net = nn.Linear(2, 3)"),
    "cell 2: torch.rand(": lambda n: n.cells[2].update(source="x = torch.rand(2, 3)"),
}


def test_what_is_printed_in_a_row_is_one_output():
    texts = [("stdout", "a\n"), ("stdout", "b\n"), ("stderr", "c\n"), ("stdout", "d\n")]
    streams = [new_output("stream", name=name, text=text) for name, text in texts]
    stored = notebooks.clean(new_notebook(cells=[new_code_cell("...", outputs=streams)]))
    found = [(o.name, o.text) for o in stored.cells[0].outputs]
    assert found == [("stdout", "a\nb\n"), ("stderr", "c\n"), ("stdout", "d\n")]


@pytest.mark.parametrize("complaint", SPOILS)
def test_what_must_not_be_stored_is_named(
    complaint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    notebook = clean_notebook()
    SPOILS[complaint](notebook)
    assert notebooks.main(["--check", str(stored(notebook, tmp_path))]) == 1
    assert complaint in capsys.readouterr().err


def test_a_clean_notebook_is_no_problem(tmp_path: Path):
    path = stored(clean_notebook(), tmp_path)
    assert notebooks.problems(path) == []
    assert notebooks.main(["--check", str(tmp_path)]) == 0


@pytest.mark.parametrize(
    "source",
    [
        "torch.manual_seed(0)\nnet = nn.Linear(2, 3)",
        "x = torch.randn(len(y), 3, generator=torch.Generator().manual_seed(0))",
        "y = F.dropout(x, training=False)",
    ],
)
def test_what_is_seeded_may_be_random(source: str, tmp_path: Path):
    notebook = clean_notebook()
    notebook.cells[2].source = source
    assert notebooks.problems(stored(notebook, tmp_path)) == []


def test_nbval_may_look_away_from_a_drawing(tmp_path: Path):
    notebook = clean_notebook()
    notebook.cells[2].metadata.tags = ["nbval-ignore-output"]
    notebook.cells[2].outputs[0].data = {"application/vnd.plotly.v1+json": {}}
    assert notebooks.problems(stored(notebook, tmp_path)) == []
    notebook.cells[2].outputs.append(new_output("stream", text="loss 0.3\n"))
    assert notebooks.problems(stored(notebook, tmp_path)) != []


def test_cleaning_keeps_what_a_page_shows_without_a_kernel():
    notebook = clean_notebook()
    notebook.cells[2].outputs[0].data = WIDGET
    view_only = {name: view for name, view in WIDGET.items() if "widget" in name}
    notebook.cells[3].outputs.append(new_output("display_data", view_only))
    cleaned = notebooks.clean(notebook)
    assert cleaned.cells[2].outputs[0].data == {"text/plain": "slider"}
    assert [output.output_type for output in cleaned.cells[3].outputs] == ["stream"]
    assert notebooks.clean(cleaned) == cleaned
    assert notebook.cells[2].outputs[0].data == WIDGET


def test_running_stores_fresh_clean_outputs(tmp_path: Path):
    (tmp_path / "beside.txt").write_text("found")
    notebook = clean_notebook()
    notebook.cells[2].source = "import ipywidgets\n\nprint(open('beside.txt').read())"
    notebook.cells[3].source = "ipywidgets.IntSlider()"
    path = stored(notebook, tmp_path)
    assert notebooks.main([str(path)]) == 0
    assert notebooks.problems(path) == []
    after = nbformat.read(path, as_version=4)
    assert after.cells[2].outputs[0].text == "found\n"
    assert after.cells[3].outputs[0].data == {"text/plain": "IntSlider(value=0)"}


def test_a_cell_that_raises_leaves_the_notebook_as_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    notebook = clean_notebook()
    notebook.cells[3].source = "1 / 0"
    path = stored(notebook, tmp_path)
    before = path.read_bytes()
    assert notebooks.main([str(path)]) == 1
    assert path.read_bytes() == before
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_notebooks_that_a_tool_made_are_not_the_books(tmp_path: Path):
    for name in ("b.ipynb", "deep/a.ipynb", "_build/c.ipynb", ".ipynb_checkpoints/b.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert notebooks.find(tmp_path) == [tmp_path / "b.ipynb", tmp_path / "deep" / "a.ipynb"]


def test_a_notebook_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        notebooks.main(["book/missing.ipynb"])
    assert "book/missing.ipynb" in capsys.readouterr().err
