"""`python -m bnviz.bench [GROUP ...]`: measure, and print one table."""

import argparse

from bnviz.bench.python import numpy_rows, recorder_rows
from bnviz.bench.rows import Row

GROUPS = {"numpy": numpy_rows, "recording": recorder_rows}


def line(row: Row) -> str:
    """One row of the table."""
    found = row.to_dict()
    low, high = found["quartiles"]
    sign = "at most" if row.faster == "less" else "at least"
    verdict = {None: "", True: "met", False: "MISSED"}[row.met]
    target = f"{sign} {row.target:g}: {verdict}" if row.target is not None else ""
    sides = f"{found['ours']:>7g} {found['theirs']:>7g} {row.unit}"
    ratio = f"{found['ratio']:.2f} ({low:.2f} to {high:.2f})"
    return f"{row.what:44} {row.against:26} {sides:19} {ratio:22} {target}"


def main() -> None:
    """Measure the groups and print them."""
    parser = argparse.ArgumentParser(prog="python -m bnviz.bench", description=main.__doc__)
    parser.add_argument("groups", nargs="*", help=f"of {', '.join(GROUPS)}; all unless named")
    named = parser.parse_args().groups or list(GROUPS)
    if unknown := set(named) - set(GROUPS):
        parser.error(f"no group is called {sorted(unknown)}; there are {list(GROUPS)}")
    print(f"{'ours':44} {'against':26} {'medians':19} {'ratio (quartiles)':22} target")
    for name in named:
        for row in GROUPS[name]():
            print(line(row), flush=True)


if __name__ == "__main__":
    main()
