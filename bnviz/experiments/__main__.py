"""Compute stored results again: `python -m bnviz.experiments NAME [NAME ...]`."""

import argparse
import datetime
import hashlib
import json
import os
import platform
import shutil
import sys
import time
from dataclasses import replace
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from bnviz import experiments
from bnviz.compile.artifacts import cache_folder
from bnviz.compile.sources import closure
from bnviz.experiments import store
from bnviz.experiments.contest import Contest
from bnviz.experiments.experiment import Experiment, Row


def result_of(experiment: Experiment | Contest, rows: list[Row], hours: float) -> dict[str, Any]:
    """What is stored: where it comes from, then the summary, then the rows.

    Args:
        experiment: what was run.
        rows: of all its cells.
        hours: how long they took, see `_hours`.
    """
    packages = ("bnviz", "torch", "numpy")
    options = "".join(f" --{k} {v}" for k, v in experiment.options.items())
    return {
        "name": experiment.name,
        "title": experiment.title,
        "claims": list(experiment.claims),
        "question": experiment.question,
        "command": f"python -m bnviz.experiments {experiment.name}{options}",
        "date": datetime.date.today().isoformat(),
        "versions": {"python": platform.python_version(), **{p: version(p) for p in packages}},
        "device": _device(experiment.options.get("device", "cpu")),
        "hours": round(hours, 1),
        "settings": {**experiment.settings, **experiment.options},
        "notes": list(experiment.notes),
        "grid": {axis: list(values) for axis, values in experiment.grid.items()},
        "summary": experiment.summarise(rows),
        "rows": rows,
    }


def with_options(experiment: Experiment | Contest, options: dict[str, Any]) -> Experiment | Contest:
    """The experiment with other options.

    Raises ValueError for one that it does not have.
    """
    for name in options:
        if name not in experiment.options:
            known = ", ".join(experiment.options) or "none"
            raise ValueError(f"{experiment.name} has no option {name!r}; it has: {known}")
    return replace(experiment, options={**experiment.options, **options}) if options else experiment


def compute(
    experiment: Experiment | Contest, jobs: int, dask: str | None, progress: bool
) -> dict[str, Any]:
    """Run every cell and put the result together."""
    from bnviz.experiments.sweep import sweep

    jobs, dask = (1, None) if experiment.serial else (jobs, dask)
    options = {"jobs": jobs, "dask": dask, "progress": progress, "label": experiment.name}
    # a measured time is taken anew, and a cluster's workers have no folder in common
    kept = None if experiment.serial or dask else _kept(experiment)
    start = time.monotonic()
    rows = experiment.compute(partial(sweep, **options, kept=kept))
    hours = _hours(kept) if kept else (time.monotonic() - start) / 3600
    if kept:
        shutil.rmtree(kept, ignore_errors=True)
    return result_of(experiment, rows, hours)


def _hours(kept: Path) -> float:
    """What the rows of an experiment took, all processes added up, before a break and after it."""
    files = kept.rglob("metadata.json")  # joblib's, one beside each row
    return sum(json.loads(file.read_text())["duration"] for file in files) / 3600


def _device(name: str) -> str:
    """What a device is, in words."""
    if name == "cpu":
        return f"{os.cpu_count()} cores of a CPU ({platform.machine()})"
    import torch

    return torch.cuda.get_device_name(name) if name.startswith("cuda") else name


def _kept(experiment: Experiment | Contest) -> Path:
    """Where the rows of an experiment wait for the others, as long as its code does not change."""
    texts = closure(experiment.run.__module__)
    known = repr((sorted(texts.items()), sorted(experiment.options.items())))
    digest = hashlib.sha256(known.encode()).hexdigest()[:16]
    return cache_folder() / "runs" / f"{experiment.name}-{digest}"


def _arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bnviz.experiments", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="experiments; see --list")
    parser.add_argument("--all", action="store_true", help="every experiment")
    parser.add_argument("--list", action="store_true", help="name them and stop")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--dask", metavar="ADDRESS", help="run on this Dask cluster instead")
    parser.add_argument("--out", default=store.FOLDER, help="folder of the results")
    parser.add_argument("--device", help="such as cuda, where an experiment has that option")
    parser.add_argument("--width", type=float, help="of a network, where an experiment has that")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    arguments = parser.parse_args(argv)
    unknown = [name for name in arguments.names if name not in experiments.names()]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; there are {', '.join(experiments.names())}")
    if arguments.jobs < 1:
        parser.error(f"--jobs must be at least 1, got {arguments.jobs}")
    if not (arguments.names or arguments.all or arguments.list):
        parser.error("name an experiment, or use --all or --list")
    return arguments


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    arguments = _arguments(argv)
    if arguments.list:
        for name in experiments.names():
            experiment = experiments.get(name)
            print(f"{name:24}{experiment.runs:5} runs   {experiment.title}")
        return
    chosen = {"device": arguments.device, "width": arguments.width}
    options = {name: value for name, value in chosen.items() if value is not None}
    for name in experiments.names() if arguments.all else arguments.names:
        start = time.monotonic()
        experiment = with_options(experiments.get(name), options)
        result = compute(experiment, arguments.jobs, arguments.dask, not arguments.quiet)
        path = store.save(result, arguments.out)
        seconds = time.monotonic() - start
        print(f"{path}: {len(result['rows'])} runs, {path.stat().st_size} bytes, {seconds:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
