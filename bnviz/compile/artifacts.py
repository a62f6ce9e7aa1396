"""Graphs and first drawings, in a cache by content: a figure that has not changed costs nothing.

An entry is one gzipped file, `drift.step.<key>.onnx.gz` or `drift.first.<key>.json.gz`. Its key is
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
import subprocess
import sys
import tempfile
import threading
import time
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from bnviz.compile import sources
from bnviz.compile.export import export_graph, graph_names
from bnviz.figure import drawing
from bnviz.figure.explorer import Explorer

__all__ = ["first_drawing", "graphs", "graphs_of", "key"]

_TOOLS = ("torch", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "scikit-learn")
# No graph depends on these.
_DRAWN = ("title", "caption", "figure", "bindings", "readout", "speeds", "seed")
_Job = tuple[Explorer, str, Path]  # figure, graph, where it goes
_ONE_AT_A_TIME = threading.Lock()  # the exporter is not safe in threads
_FUNCTIONS = ("compute", "initial", "step", "observe")


def graphs(explorer: Explorer, folder: str | Path | None = None) -> dict[str, bytes]:
    """Every graph that a page needs to run this figure, as ONNX bytes by name.

    Args:
        explorer: the figure.
        folder: of the cache; unless given, $BNVIZ_CACHE, else `.bnviz-cache` in the project.

    Raises:
        RuntimeError: if an export fails, with what the exporter said, or its result does not stay.
        ValueError: if the figure's functions stand in no source file.
    """
    return graphs_of([explorer], folder)[explorer.name]


def graphs_of(
    explorers: Iterable[Explorer], folder: str | Path | None = None
) -> dict[str, dict[str, bytes]]:
    """The graphs of several figures, by figure; what is missing is exported side by side."""
    explorers, folder = list(explorers), _folder(folder)
    paths = {}
    for e in explorers:
        digest = key(e)
        paths[e.name] = {g: folder / f"{e.name}.{g}.{digest}.onnx.gz" for g in graph_names(e)}
    jobs = [(e, g, path) for e in explorers for g, path in paths[e.name].items()]
    missing = [job for job in jobs if _read(job[2]) is None]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        _fill(missing)
    return {name: {g: _made(path) for g, path in those.items()} for name, those in paths.items()}


def first_drawing(explorer: Explorer, folder: str | Path | None = None) -> drawing.Drawing:
    """`drawing.first`, which for a network in training takes seconds. Arguments as in `graphs`."""
    data, texts = explorer.to_dict(), sources.closure("bnviz.figure.drawing")
    digest = _digest(data, key(explorer), texts)
    path = _folder(folder) / f"{explorer.name}.first.{digest}.json.gz"
    if (stored := _read(path)) is None:
        stored = json.dumps(dataclasses.asdict(drawing.first(explorer))).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, stored)
    return drawing.Drawing(**json.loads(stored))


def key(explorer: Explorer) -> str:
    """Hash of what the graphs depend on: controls, source text, versions of the exporter's parts.

    Words and looks do not count, so that a new caption costs nothing. Source text is that of the
    modules which hold the figure and its functions, of all they import from `bnviz`, and of
    `bnviz.compile.export`. A file that a function reads is NOT seen.
    """
    data = {k: v for k, v in explorer.to_dict().items() if k not in _DRAWN}
    versions = {name: importlib.metadata.version(name) for name in _TOOLS}
    texts = sources.closure(*_homes(explorer), "bnviz.compile.export")
    return _digest(data, versions, texts)


def _digest(*parts) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:20]


def _homes(explorer: Explorer) -> set[str]:
    """Names of the modules in which the functions and the figure itself are defined."""
    functions = [getattr(explorer, name, None) for name in _FUNCTIONS]
    homes = {_unwrapped(f).__module__ for f in functions if f is not None}
    home = f"bnviz.explorers.{explorer.name.replace('-', '_')}"
    return homes | ({home} & set(sys.modules))


def _unwrapped(function):
    while isinstance(function, functools.partial):
        function = function.func
    return function


def _folder(folder: str | Path | None) -> Path:
    if folder is None:
        project = Path(__file__).parents[2]
        root = project if (project / "pyproject.toml").exists() else Path.cwd()
        folder = os.environ.get("BNVIZ_CACHE") or root / ".bnviz-cache"
    return Path(folder)


def _read(path: Path) -> bytes | None:
    """The graph in a cache entry; None if there is none or it is damaged."""
    try:
        return gzip.decompress(path.read_bytes()) or None
    except (FileNotFoundError, EOFError, gzip.BadGzipFile, zlib.error):
        return None


def _made(path: Path) -> bytes:
    """The graph in an entry that has been written."""
    graph = _read(path)
    if graph is None:
        raise RuntimeError(f"{path} is gone or damaged: does something else clear this folder?")
    return graph


def _write(path: Path, graph: bytes) -> None:
    """Atomic: another process sees the whole entry or none."""
    with tempfile.NamedTemporaryFile(dir=path.parent, suffix=".part", delete=False) as file:
        file.write(gzip.compress(graph, mtime=0))
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


def _fill(missing: list[_Job]) -> None:
    """Export side by side, the graph that takes longest first, and tell what is going on."""
    names = list(dict.fromkeys(e.name for e, *_ in missing))
    print(f"exporting {', '.join(names)} …", flush=True)
    start = time.monotonic()
    alone = len(missing) == 1 or os.cpu_count() == 1
    with ThreadPoolExecutor(max_workers=1 if alone else os.cpu_count()) as pool:
        running = [(job[0].name, pool.submit(_export, *job, alone)) for job in missing]
        try:
            for name in names:
                for future in (f for owner, f in running if owner == name):
                    future.result()
                print(f"exported {name}, {time.monotonic() - start:.0f} s", flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _export(explorer: Explorer, graph: str, path: Path, alone: bool) -> None:
    with _locked(path):
        if _read(path) is not None:  # another process has been here
            return
        elsewhere = all(home.startswith("bnviz.") for home in _homes(explorer))
        if alone or not elsewhere:
            _export_here(explorer, graph, path)
        else:
            _export_in_a_process(explorer, graph, path)


def _export_here(explorer: Explorer, graph: str, path: Path) -> None:
    try:
        with _ONE_AT_A_TIME:
            _write(path, export_graph(explorer, graph))
    except Exception as error:
        raise RuntimeError(f"cannot export {graph} of {explorer.name}: {error}") from error


def _export_in_a_process(explorer: Explorer, graph: str, path: Path) -> None:
    """A Python of its own; unlike a multiprocessing pool it never runs the caller's script."""
    paths = os.pathsep.join(p for p in sys.path if p)
    done = subprocess.run(
        [sys.executable, "-c", "from bnviz.compile.artifacts import _serve; _serve()"],
        input=pickle.dumps((explorer, graph, path)),
        env={**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "1"},
        capture_output=True,
    )
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise RuntimeError(f"cannot export {graph} of {explorer.name}:\n{said}")


def _serve() -> None:
    explorer, graph, path = pickle.load(sys.stdin.buffer)
    _export_here(explorer, graph, path)
