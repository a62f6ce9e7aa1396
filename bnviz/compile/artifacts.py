"""Modules and first drawings, in a cache by content: a figure that has not changed costs nothing.

An entry is one gzipped file, `drift.<key>.module.gz` or `drift.first.<key>.json.gz`. Its key is
a hash of all that it depends on; gzip's own checksum tells a damaged file, which is made again.
"""

import contextlib
import dataclasses
import functools
import gzip
import hashlib
import importlib.metadata
import json
import os
import pickle
import queue
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path

from bnviz.compile import sources
from bnviz.compile.figure import compile_figure
from bnviz.compile.module import Module
from bnviz.figure import drawing, registry
from bnviz.figure.explorer import Explorer

__all__ = ["cache_folder", "first_drawing", "key", "module", "modules"]

_TOOLS = ("torch", "ziglang", "scikit-learn")
_KERNELS = Path(__file__).with_name("kernels.c")
# No module depends on these.
_DRAWN = ("title", "caption", "figure", "bindings", "readout", "speeds", "seed")
_FUNCTIONS = ("compute", "initial", "step", "observe")
_ONE_AT_A_TIME = threading.Lock()  # tracing is not safe in threads


def module(explorer: Explorer, folder: str | Path | None = None) -> Module:
    """What a page needs to run this figure.

    Args:
        explorer: the figure.
        folder: of the cache; unless given, $BNVIZ_CACHE, else `.bnviz-cache` in the project.

    Raises:
        RuntimeError: if it cannot be compiled, with the reason, or the result does not stay.
        ValueError: if the figure's functions stand in no source file.
    """
    return modules([explorer], folder)[explorer.name]


def modules(explorers: Iterable[Explorer], folder: str | Path | None = None) -> dict[str, Module]:
    """The modules of several figures, by figure; what is missing is compiled side by side."""
    explorers, folder = list(explorers), cache_folder(folder)
    paths = {e.name: folder / f"{e.name}.{key(e)}.module.gz" for e in explorers}
    missing = [(e, paths[e.name]) for e in explorers if _read(paths[e.name]) is None]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        _fill(missing)
    return {name: Module.unpacked(_made(path)) for name, path in paths.items()}


def first_drawing(explorer: Explorer, folder: str | Path | None = None) -> drawing.Drawing:
    """`drawing.first`, which for a network in training takes seconds. Arguments as in `graphs`."""
    data, texts = explorer.to_dict(), sources.closure("bnviz.figure.drawing")
    digest = _digest(data, key(explorer), texts)
    path = cache_folder(folder) / f"{explorer.name}.first.{digest}.json.gz"
    if (stored := _read(path)) is None:
        stored = json.dumps(dataclasses.asdict(drawing.first(explorer))).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, stored)
    return drawing.Drawing(**json.loads(stored))


def key(explorer: Explorer) -> str:
    """Hash of what the module depends on: controls, source text, versions of the compiler's parts.

    Words and looks do not count, so that a new caption costs nothing. Source text is that of the
    modules which hold the figure and its functions, of all they import from `bnviz` and from what
    is not installed for good (`sources` says how far that goes), and of the compiler. Of other
    packages that a figure of somebody else imports, the version counts. A file that a function
    reads is NOT seen.
    """
    data = {k: v for k, v in explorer.to_dict().items() if k not in _DRAWN}
    homes = _homes(explorer)
    packages = {*_TOOLS, *sources.packages(*homes)}
    versions = {name: importlib.metadata.version(name) for name in sorted(packages)}
    texts = sources.closure(*homes, "bnviz.compile.figure")
    return _digest(data, versions, texts, _KERNELS.read_text(encoding="utf-8"))


def _digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def _homes(explorer: Explorer) -> set[str]:
    """Names of the modules in which the functions and the figure itself are defined."""
    functions = [getattr(explorer, name, None) for name in _FUNCTIONS]
    homes = {_unwrapped(f).__module__ for f in functions if f is not None}
    return homes | (registry.homes(explorer.name) & set(sys.modules))


def _unwrapped(function):
    while isinstance(function, functools.partial):
        function = function.func
    return function


def cache_folder(folder: str | Path | None = None) -> Path:
    """The folder given; else $BNVIZ_CACHE, or `.bnviz-cache` in the project."""
    if folder is None:
        project = Path(__file__).parents[2]
        root = project if (project / "pyproject.toml").exists() else Path.cwd()
        folder = os.environ.get("BNVIZ_CACHE") or root / ".bnviz-cache"
    return Path(folder)


def _read(path: Path) -> bytes | None:
    """The content of a cache entry; None if there is none or it is damaged."""
    try:
        return gzip.decompress(path.read_bytes()) or None
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error):
        return None


def _made(path: Path) -> bytes:
    """The content of an entry that has been written."""
    content = _read(path)
    if content is None:
        raise RuntimeError(f"{path} is gone or damaged: does something else clear this folder?")
    return content


def _write(path: Path, content: bytes) -> None:
    """Atomic: another process sees the whole entry or none."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        file.write(gzip.compress(content, mtime=0))
    os.replace(file.name, path)


@contextlib.contextmanager
def _locked(path: Path):
    """Let two processes not do the same work; where there is no flock, they just both do it."""
    try:
        import fcntl
    except ImportError:
        yield
        return
    with path.with_suffix(".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _fill(missing: list[tuple[Explorer, Path]]) -> None:
    """Compile side by side, and tell what is going on."""
    start = time.monotonic()
    print(f"compiling {', '.join(e.name for e, _ in missing)} …", flush=True)
    many = 1 if len(missing) == 1 else os.cpu_count() or 1
    idle: queue.SimpleQueue[_Helper | None] = queue.SimpleQueue()
    helpers = [_Helper() for _ in range(many)] if many > 1 else []
    for helper in helpers or [None]:
        idle.put(helper)

    def work(explorer: Explorer, path: Path) -> str:
        helper = idle.get()
        try:
            _compile(explorer, path, helper)
        finally:
            idle.put(helper)
        return explorer.name

    with ThreadPoolExecutor(max_workers=many) as pool:
        try:
            for done in as_completed([pool.submit(work, *job) for job in missing]):
                print(f"compiled {done.result()}, {time.monotonic() - start:.0f} s", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
        finally:
            for helper in helpers:
                helper.close()


def _compile(explorer: Explorer, path: Path, helper: "_Helper | None") -> None:
    with _locked(path):
        if _read(path) is not None:  # another process has been here
            return
        elsewhere = all(home.startswith("bnviz.") for home in _homes(explorer))
        if helper and elsewhere:
            helper.compile(explorer, path)
        else:
            _compile_here(explorer, path)


def _compile_here(explorer: Explorer, path: Path) -> None:
    try:
        with _ONE_AT_A_TIME:
            _write(path, compile_figure(explorer).packed())
    except Exception as error:
        raise RuntimeError(f"cannot compile {explorer.name}: {error}") from error


class _Helper:
    """A Python of its own that compiles one figure after another.

    Unlike a multiprocessing pool it never runs the caller's script.
    """

    def __init__(self):
        paths = os.pathsep.join(p for p in sys.path if p)
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from bnviz.compile.artifacts import _serve; _serve()"],
            env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def compile(self, explorer: Explorer, path: Path) -> None:
        """Raises RuntimeError as the helper said it, or when it has ended."""
        asked, answers = self.process.stdin, self.process.stdout
        assert asked is not None
        assert answers is not None
        try:
            pickle.dump((explorer, path), asked)
            asked.flush()
            wrong = pickle.load(answers)
        except (EOFError, BrokenPipeError) as error:
            raise RuntimeError(
                f"cannot compile {explorer.name}: the helper ended ({self.process.wait()}); is "
                "there enough memory? Its own words are above"
            ) from error
        if wrong:
            raise RuntimeError(wrong)

    def close(self) -> None:
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe:
                pipe.close()
        self.process.wait()


def _serve() -> None:
    """Compile what comes in; say what went wrong, or None."""
    answers, sys.stdout = sys.stdout.buffer, sys.stderr  # what a figure prints is no answer
    while True:
        try:
            explorer, path = pickle.load(sys.stdin.buffer)
        except EOFError:
            return
        try:
            _compile_here(explorer, path)
            wrong = None
        except Exception:
            wrong = traceback.format_exc()
        pickle.dump(wrong, answers)
        answers.flush()
