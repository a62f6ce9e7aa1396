"""Run the cells of a sweep: in this process, in several, or on a Dask cluster."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import torch
from joblib import Memory, Parallel, delayed, parallel_config
from tqdm import tqdm

from bnviz.experiments.experiment import Row

__all__ = ["sweep"]


def sweep(
    run: Callable[[Row], Row],
    cells: Iterable[Row],
    *,
    jobs: int = 1,
    dask: str | None = None,
    progress: bool = False,
    label: str = "",
    kept: str | Path | None = None,
) -> list[Row]:
    """`run` of every cell, in the order of the cells, however they were shared out.

    Args:
        run: a function that a worker can import (or pickle); it sees one cell and nothing else.
        cells: what to run it on.
        jobs: processes on this machine, with one thread each; 1 stays in this process.
        dask: address of a Dask scheduler, such as "tcp://10.0.0.5:8786". Its workers need bnviz.
        progress: show a bar on stderr.
        label: in front of the bar.
        kept: a folder where each row is kept as soon as it is there; a sweep that broke off finds
            them and goes on. It must belong to this `run` as it is now.

    Raises:
        ValueError: for jobs < 1.
        Exception: whatever `run` raises.
    """
    cells = list(cells)
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    call = Memory(kept, verbose=0).cache(_one_thread, ignore=["run"]) if kept else _one_thread
    calls = (delayed(call)(run, cell) for cell in cells)
    with _backend(jobs, dask), tqdm(total=len(cells), desc=label, disable=not progress) as bar:
        rows = []
        for row in Parallel(return_as="generator")(calls):  # in order
            rows.append(row)
            bar.update()
    return rows


def _one_thread(run: Callable[[Row], Row], cell: Row) -> Row:
    """The matrices are small: more threads would wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return run(cell)
    finally:
        torch.set_num_threads(before)


@contextlib.contextmanager
def _backend(jobs: int, dask: str | None) -> Iterator[None]:
    if dask is None:
        with parallel_config("loky", n_jobs=jobs, inner_max_num_threads=1):
            yield
        return
    from distributed import Client

    with Client(dask), parallel_config("dask"):
        yield
