"""The checkers of `make lint` see what they are there for."""

import shutil
from pathlib import Path

import pytest

from bnviz.tools.types import CHECKERS, findings

ROOT = Path(__file__).parent.parent
CONFIG = ("pyproject.toml", "bnviz/page/tsconfig.json", "bnviz/tools/lint/eslint.config.cjs")
FAULTS = {
    "bnviz/maths/fault.py": "def untyped(x): return x\n",
    "bnviz/site/fault.py": "wrong: int = 'a word'\n",
    "bnviz/page/fault.js": "export const wrong = (untyped) => undeclared;\n",
    "bnviz/bench/fault.js": "export const wrong = (untyped) => undeclared;\n",
    "bnviz/jupyter/fault.js": "export const wrong = (untyped) => undeclared;\n",
    "bnviz/poster/fault.cjs": "exports.wrong = (untyped) => undeclared;\n",
    "tests/firefox/fault.cjs": "exports.wrong = (untyped) => undeclared;\n",
}
RIGHT = {
    ".py": "right: int = 1\n",
    ".js": "export const right = 1;\n",
    ".cjs": "exports.right = 1;\n",
}
SEEN = {
    "pyright": ("maths/fault.py", "reportMissingParameterType", "site/fault.py"),
    "tsc": ("page/fault.js", "TS7006", "bench/fault.js", "jupyter/fault.js", "poster/fault.cjs"),
    "eslint": (
        "page/fault.js",
        "no-undef",
        "bench/fault.js",
        "jupyter/fault.js",
        "poster/fault.cjs",
        "firefox/fault.cjs",
    ),
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """Nothing but the configuration."""
    for name in (*CONFIG, *FAULTS):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    for name in CONFIG:
        shutil.copy(ROOT / name, tmp_path / name)
    return tmp_path


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_sees_faults_in_every_room(checker: str, checkout: Path):
    for name, text in FAULTS.items():
        (checkout / name).write_text(text)
    found = findings(checker, checkout).replace("\\", "/")
    assert [word for word in SEEN[checker] if word not in found] == []


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_checker_is_content_with_code_that_is_right(checker: str, checkout: Path):
    for name in FAULTS:
        (checkout / name).write_text(RIGHT[Path(name).suffix])
    assert findings(checker, checkout) == ""
