"""One run of a Simulation: its state, its minibatches, how far it got. No user interface."""

from contextlib import contextmanager
from copy import copy

import torch
from torch import Tensor

from bnviz.figure import drawing
from bnviz.figure.explorer import Simulation
from bnviz.maths.functional import State
from bnviz.maths.prng import Shuffler

__all__ = ["Run", "one_thread"]

Controls = dict[str, Tensor]


@contextmanager
def one_thread():
    """Compute on one thread: with tensors this small, several only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Run:
    """A Simulation on its way from step 0.

    Args:
        simulation: what to run.
        seed: whole number >= 0, for the initial state and for the minibatches.
        controls: scalar tensors by name, as `Explorer.tensors` gives them.

    Attributes:
        number: steps done.
        outputs: newest value of every output.
        diverged: what has left the finite numbers -> the step at which it did.
        histories: what the appended bindings have collected.
    """

    def __init__(self, simulation: Simulation, seed: int, controls: Controls):
        self.simulation, self.seed = simulation, seed
        self.number = 0
        self.diverged: dict[str, int] = {}
        self._shuffler = Shuffler(simulation.rows, seed)
        with one_thread(), torch.no_grad():
            self._state = simulation.initial(torch.tensor(float(seed)), **controls)
            self.outputs: State = {}
            self.histories = drawing.histories(simulation)
        self.peek(controls)

    def peek(self, controls: Controls) -> None:
        """Observe, and take the outputs of the next step; the run itself stays where it is."""
        *_, outputs = self._next(controls)
        with one_thread(), torch.no_grad():
            observed = self._observe(self._state, controls)
        self.outputs = self.outputs | outputs | observed

    def step(self, controls: Controls) -> list[str]:
        """Do one step. Returns what has diverged in it, as called in `Simulation.watch`.

        If the simulation raises, the run stays where it was.
        """
        shuffler, state, outputs = self._next(controls)
        if (self.number + 1) % self.simulation.every == 0:
            with one_thread(), torch.no_grad():
                outputs = outputs | self._observe(state, controls)
        self._shuffler, self._state = shuffler, state
        self.number += 1
        self.outputs = self.outputs | outputs
        drawing.remember(self.histories, outputs)
        new = [name for name in self.simulation.diverged(outputs) if name not in self.diverged]
        self.diverged |= dict.fromkeys(new, self.number)
        return new

    @property
    def over(self) -> bool:
        """Whether everything that is watched has diverged."""
        watched = self.simulation.watch.values()
        return bool(watched) and all(name in self.diverged for name in watched)

    def _next(self, controls: Controls) -> tuple[Shuffler, State, State]:
        shuffler = copy(self._shuffler)
        rows = shuffler.take(round(float(controls["batch"])))
        with one_thread(), torch.no_grad():
            return shuffler, *self.simulation.step(self._state, rows, **controls)

    def _observe(self, state: State, controls: Controls) -> State:
        observe = self.simulation.observe
        return observe(state, **controls) if observe else {}
