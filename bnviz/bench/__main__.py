"""`python -m bnviz.bench [GROUP ...]`: measure, print a table, and store it."""

import argparse

from bnviz.bench.jupyter import jupyter_rows
from bnviz.bench.memory import memory_rows
from bnviz.bench.page import frame_rows, slider_rows
from bnviz.bench.project import book_rows, test_rows
from bnviz.bench.python import numpy_rows, recorder_rows
from bnviz.bench.report import line
from bnviz.bench.results import save
from bnviz.bench.steps import growth_rows, step_rows
from bnviz.bench.visit import visit_rows
from bnviz.bench.watching import watch_rows

LONG = ("book", "tests")  # minutes; measured when they are named
GROUPS = {
    "steps": step_rows,
    "slider": slider_rows,
    "frames": frame_rows,
    "visit": visit_rows,
    "jupyter": jupyter_rows,
    "recording": recorder_rows,
    "watching": watch_rows,
    "numpy": numpy_rows,
    "growth": growth_rows,
    "memory": memory_rows,
    "book": book_rows,
    "tests": test_rows,
}


def main() -> None:
    """Measure the groups, print them, and store them for the book."""
    usual = [name for name in GROUPS if name not in LONG]
    parser = argparse.ArgumentParser(prog="python -m bnviz.bench", description=main.__doc__)
    parser.add_argument(
        "groups", nargs="*", help=f"of {', '.join(GROUPS)}; all but {' and '.join(LONG)}"
    )
    named = parser.parse_args().groups or usual
    if unknown := set(named) - set(GROUPS):
        parser.error(f"no group is called {sorted(unknown)}; there are {list(GROUPS)}")
    print(f"{'measured':44} {'against':26} {'here':>7} {'there':>7}     ratio (quartiles)")
    for name in named:
        rows = []
        for row in GROUPS[name]():
            rows.append(row)
            print(line(row.to_dict()), flush=True)
        save(name, rows)


if __name__ == "__main__":
    main()
