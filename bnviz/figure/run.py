"""One run of a Simulation, as every host knows it. No user interface.

    event     what happens
    begin     the initial state for (seed, controls), step 0; then a look
    look      outputs of the NEXT step, which is not taken, and `observe` of the state as it is
    step      the next minibatch, one step; `observe` after every `every` steps; into the histories
    diverged  an output that is watched is not finite: who plays pauses; all of them: it is over
    restart   another Run

First drawings, the kernel and the tests stand on this class; `page/run.js` is its one twin, and
`tests/test_hosts.py` drives both through the same events.
"""

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from copy import copy

import torch
from torch import Tensor

from bnviz.figure.explorer import Binding, Simulation
from bnviz.figure.history import History
from bnviz.maths.functional import State
from bnviz.maths.prng import Shuffler

__all__ = ["Histories", "Run", "one_thread", "remember"]

Controls = dict[str, Tensor]
Histories = dict[Binding, History]


@contextmanager
def one_thread() -> Generator[None]:
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
        observed: the outputs that come from `observe`, only every `every` steps.
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
        self.observed = tuple(self._observe(self._state, controls))
        self.histories = _histories(simulation, self.observed)
        self.look(controls)

    def look(self, controls: Controls) -> None:
        """What the state shows under these controls; the run itself stays where it is."""
        *_, outputs = self._next(controls)
        self.outputs = self.outputs | outputs | self._observe(self._state, controls)

    def step(self, controls: Controls) -> list[str]:
        """Do one step. Returns what has diverged in it, as called in `Simulation.watch`.

        If the simulation raises, the run stays where it was.
        """
        shuffler, state, outputs = self._next(controls)
        if (self.number + 1) % self.simulation.every == 0:
            outputs = outputs | self._observe(state, controls)
        self._shuffler, self._state = shuffler, state
        self.number += 1
        self.outputs = self.outputs | outputs
        remember(self.histories, outputs)
        new = [name for name in self.simulation.diverged(outputs) if name not in self.diverged]
        self.diverged |= dict.fromkeys(new, self.number)
        return new

    @property
    def over(self) -> bool:
        """Whether everything that is watched has diverged."""
        watched = self.simulation.watch.values()
        return bool(watched) and all(name in self.diverged for name in watched)

    @property
    def complaint(self) -> str:
        """What a reader is told of a divergence; "" while all is finite."""
        if not self.diverged:
            return ""
        what = ", ".join(f"{who} diverged at step {n}" for who, n in self.diverged.items())
        rest = "" if self.over else "Play goes on with the rest. "
        return f"{what}: the numbers are no longer finite. {rest}Reset begins again."

    def _next(self, controls: Controls) -> tuple[Shuffler, State, State]:
        shuffler = copy(self._shuffler)
        rows = shuffler.take(round(float(controls["batch"])))
        with one_thread(), torch.no_grad():
            return shuffler, *self.simulation.step(self._state, rows, **controls)

    def _observe(self, state: State, controls: Controls) -> State:
        if self.simulation.observe is None:
            return {}
        with one_thread(), torch.no_grad():
            return self.simulation.observe(state, **controls)


def remember(histories: Histories, outputs: State) -> None:
    """Append the newest outputs to the records they belong to."""
    for binding, history in histories.items():
        if binding.output in outputs:
            history.append(binding.pick(outputs))


def _histories(simulation: Simulation, observed: Iterable[str]) -> Histories:
    """An empty record for each appended binding; an observed output needs fewer columns."""
    seldom, every = set(observed), simulation.every
    fewer = max(2, simulation.history // every // 2 * 2)  # even, over about the same steps
    return {
        binding: History(fewer, every) if binding.output in seldom else History(simulation.history)
        for binding in simulation.bindings
        if binding.append
    }
