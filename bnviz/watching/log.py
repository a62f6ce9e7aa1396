"""What `watch` has recorded: numbers of every watched layer and every weight, step by step."""

import json
import math
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from bnviz.watching.bins import Bins

if TYPE_CHECKING:
    import plotly.graph_objects as go

__all__ = ["LAYER_COLUMNS", "WEIGHT_COLUMNS", "LayerLog", "Log", "WeightLog"]

LAYER_COLUMNS = {
    "calls": "calls of the layer in this step; 0: it did not run, and all else is empty",
    "n": "finite values that were looked at",
    "mean": "their mean",
    "std": "their standard deviation (biased)",
    "not_finite": "share of values that were NaN or infinite",
    "outside": "share of values outside the range of the histogram",
    "flat": "share of values where the activation's slope is below 10 % of its largest",
    "dead": "share of units that lie there for every example of the step",
    "gradient": "root mean square of the gradient of the loss at these values",
    "batch": "BN: values per feature in the batch, of the smallest call",
    "mean_gap": "BN: root mean square over features of (mu_B - running mean) / running sigma",
    "var_ratio": "BN: geometric mean over features of batch variance / running variance",
    "frozen": "BN: 1 where it ran in evaluation mode, and used its running values",
}
WEIGHT_COLUMNS = {
    "size": "root mean square of the weights before the step",
    "gradient": "root mean square of their gradient, as the optimiser got it",
    "update": "root mean square of what the step changed",
}
_VERSION = 1  # of the file
Columns = dict[str, list[float]]


def _columns(names: Iterable[str]) -> Columns:
    return {name: [] for name in names}


def _append(columns: Columns, values: Mapping[str, float | None]) -> None:
    for name, column in columns.items():
        value = values.get(name)
        column.append(math.nan if value is None else float(value))


@dataclass
class LayerLog:
    """One layer over time.

    Attributes:
        kind: name of its class.
        side: "input" or "output": which of the two was looked at.
        bn: whether it normalises over the batch.
        front: name of the layer with weights that ran before it, or "".
        bins: its histograms.
        columns: those of `LAYER_COLUMNS`, a number (or nan) for each record.
    """

    kind: str
    side: str
    bn: bool
    front: str = ""
    bins: Bins = field(default_factory=Bins)
    columns: Columns = field(default_factory=lambda: _columns(LAYER_COLUMNS))

    def append(self, **values: float | None) -> None:
        """Numbers of one more record; what is not given is nan."""
        _append(self.columns, values)


@dataclass
class WeightLog:
    """One parameter over time.

    Attributes:
        matrix: whether it has two axes or more; biases, gamma and beta have one.
        columns: those of `WEIGHT_COLUMNS`, a number (or nan) for each record.
    """

    matrix: bool
    columns: Columns = field(default_factory=lambda: _columns(WEIGHT_COLUMNS))

    def append(self, **values: float | None) -> None:
        """Numbers of one more record; what is not given is nan."""
        _append(self.columns, values)

    def ratio(self, record: int = -1) -> float:
        """Update over data: how large the step was for the size of the weights; nan unless both."""
        size, update = (self.columns[name][record] for name in ("size", "update"))
        return update / size if size > 0 else math.nan


class Log:
    """A training, seen from inside its layers.

    Attributes:
        every: a record at each `every`-th step; may be changed while the training goes on. It
            doubles, and every second record is forgotten, when `most` records are full.
        most: largest number of records.
        seen: training steps so far.
        steps: number of the step of each record, from 1.
        layers: name -> `LayerLog`.
        weights: name of a parameter -> `WeightLog`.
        lock: held while a record is added; who reads in another thread holds it, too.
    """

    def __init__(self, every: int = 10, most: int = 1000):
        self.every, self.most, self.seen = every, most, 0
        self.lock = threading.RLock()  # a record is added whole before anybody reads
        self.steps: list[int] = []
        self.layers: dict[str, LayerLog] = {}
        self.weights: dict[str, WeightLog] = {}

    def __len__(self) -> int:
        return len(self.steps)

    def __repr__(self) -> str:
        return (
            f"Log of {self.seen} steps: {len(self)} records of {len(self.layers)} layers "
            f"and {len(self.weights)} weights"
        )

    def __getitem__(self, layer: str) -> LayerLog:
        """The layer of that name. Raises KeyError, with the names that there are."""
        if layer not in self.layers:
            known = ", ".join(map(repr, self.layers)) or "none"
            raise KeyError(f"no layer {layer!r} was watched; there are {known}")
        return self.layers[layer]

    def begin_record(self) -> None:
        """A record of the newest step is about to be filled in, by layer and by weight."""
        if len(self.steps) >= self.most:
            self._thin()
        self.steps.append(self.seen)

    def weight(self, name: str, *, matrix: bool) -> WeightLog:
        """The log of a parameter; of one that is new, empty records for the past."""
        if name not in self.weights:
            self.weights[name] = WeightLog(matrix)
            for _ in self.steps[:-1]:
                self.weights[name].append()
        return self.weights[name]

    def end_record(self) -> None:
        """What was not filled in is nan: a parameter that is no longer trained."""
        for log in self.weights.values():
            if len(log.columns["size"]) < len(self.steps):
                log.append()

    def _thin(self) -> None:
        """Forget every second record, and record half as often from now on."""
        self.steps = self.steps[::2]
        for log in (*self.layers.values(), *self.weights.values()):
            log.columns = {name: column[::2] for name, column in log.columns.items()}
        for layer in self.layers.values():
            layer.bins.keep_every_second()
        self.every *= 2

    def figure(self, layers: list[str] | None = None) -> "go.Figure":
        """The picture that the notebook shows during the training; see `bnviz.watching.picture`.

        Raises:
            KeyError: for the name of a layer that was not watched.
            ValueError: when nothing was recorded.
        """
        import plotly.graph_objects as go  # takes a second

        from bnviz.watching.picture import picture

        drawn = picture(self, layers)
        for trace in drawn["data"]:
            if "z" in trace:  # rows are for FigureWidget; as one array it is a third of the size
                trace["z"] = np.array(trace["z"])
        return go.Figure(drawn)

    def frame(self) -> Any:
        """A pandas table, a row for each record of each layer; a list of dicts without pandas.

        Columns: step, layer, kind, side, and those of `LAYER_COLUMNS`; nan where a number has no
        meaning for that layer.
        """
        rows = [
            {"step": step, "layer": name, "kind": log.kind, "side": log.side}
            | {column: values[k] for column, values in log.columns.items()}
            for k, step in enumerate(self.steps)
            for name, log in self.layers.items()
        ]
        return _as_frame(rows)

    def weight_frame(self) -> Any:
        """The same for parameters: step, weight, the `WEIGHT_COLUMNS`, and ratio, update / size."""
        rows = [
            {"step": step, "weight": name}
            | {column: values[k] for column, values in log.columns.items()}
            | {"ratio": log.ratio(k)}
            for k, step in enumerate(self.steps)
            for name, log in self.weights.items()
        ]
        return _as_frame(rows)

    def save(self, path: str | Path) -> Path:
        """Write everything into one file (.npz of NumPy) and return its path; no pickles."""
        path = Path(path).with_suffix(".npz")
        about = {
            "version": _VERSION, "every": self.every, "most": self.most, "seen": self.seen,
            "layers": [
                {"name": name, "kind": log.kind, "side": log.side, "bn": log.bn, "front": log.front}
                for name, log in self.layers.items()
            ],
            "weights": [{"name": name, "matrix": log.matrix} for name, log in self.weights.items()],
        }  # fmt: skip
        arrays: dict[str, Any] = {"steps": np.array(self.steps, dtype=np.int64)}
        for k, log in enumerate(self.layers.values()):
            arrays |= {f"layer{k}.{name}": np.array(v) for name, v in log.columns.items()}
            arrays |= {f"layer{k}.bins.{name}": v for name, v in log.bins.state().items()}
        for k, log in enumerate(self.weights.values()):
            arrays |= {f"weight{k}.{name}": np.array(v) for name, v in log.columns.items()}
        with path.open("wb") as file:
            np.savez_compressed(file, about=np.array(json.dumps(about)), **arrays)
        return path

    @classmethod
    def load(cls, path: str | Path) -> "Log":
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: when there is no such file.
            ValueError: for a file that `save` did not write.
        """
        path = Path(path)
        path = path if path.exists() else path.with_suffix(".npz")
        try:
            with np.load(path, allow_pickle=False) as file:
                about = json.loads(str(file["about"]))
                arrays = {name: file[name] for name in file.files}
        except (KeyError, ValueError, OSError) as error:
            if isinstance(error, FileNotFoundError):
                raise
            raise ValueError(f"{path} is no log that `save` wrote: {error}") from error
        if about["version"] != _VERSION:
            raise ValueError(f"{path} has version {about['version']}, this bnviz reads {_VERSION}")
        log = cls(about["every"], about["most"])
        log.seen, log.steps = about["seen"], [int(step) for step in arrays["steps"]]
        for k, named in enumerate(about["layers"]):
            columns = {name: arrays[f"layer{k}.{name}"].tolist() for name in LAYER_COLUMNS}
            bins = {name: arrays[f"layer{k}.bins.{name}"] for name in ("range", "rows", "outside")}
            fields = {key: named[key] for key in ("kind", "side", "bn", "front")}
            log.layers[named["name"]] = LayerLog(
                **fields, bins=Bins.of_state(bins), columns=columns
            )
        for k, named in enumerate(about["weights"]):
            columns = {name: arrays[f"weight{k}.{name}"].tolist() for name in WEIGHT_COLUMNS}
            log.weights[named["name"]] = WeightLog(named["matrix"], columns)
        return log


def _as_frame(rows: list[dict[str, Any]]) -> Any:
    try:
        import pandas as pd
    except ImportError:
        return rows
    return pd.DataFrame(rows)
