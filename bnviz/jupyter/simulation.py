"""A Simulation in a kernel: buttons, and a loop that lets the kernel hear its reader."""

from html import escape
from time import perf_counter
from typing import cast

import ipywidgets as widgets

from bnviz.figure.controls import LARGEST_SEED, SPEEDS
from bnviz.figure.explorer import Simulation
from bnviz.figure.run import Run
from bnviz.jupyter.live import LiveFigure, Values
from bnviz.jupyter.turns import in_turn
from bnviz.jupyter.widgets import Transport

__all__ = ["LiveSimulation"]

_BETWEEN_PICTURES = 1 / 6  # seconds, at least
_RATES = {speed.name: speed.rate for speed in SPEEDS}


class LiveSimulation(LiveFigure):
    """A figure that moves step by step, with buttons to play, step and reset."""

    @property
    def playing(self) -> bool:
        """Whether steps go on by themselves."""
        return self._playing

    @property
    def number(self) -> int:
        """Steps done since the beginning."""
        return self._run.number

    @in_turn
    def play(self) -> None:
        """Go on by itself until `pause`, in the event loop of a notebook.

        It also stops when an output is no longer finite; played again, it goes on as long as
        another one that is watched stays finite.

        Raises:
            RuntimeError: outside an event loop (call `step(n)` there), after `close`, or when
                everything that is watched has diverged (call `reset`).
        """
        self._require_open()
        self._require_finite()
        self._loop.start()
        self._playing = True
        self._due = perf_counter()
        self._show_state()

    @in_turn
    def pause(self) -> None:
        """Stop after the present step; `play` goes on from there."""
        if not self._playing:
            return
        self._playing = False
        if not self._closed:
            self._draw()

    @in_turn
    def step(self, n: int = 1) -> None:
        """Do `n` steps now, then draw. Ends early when an output is no longer finite.

        Raises:
            ValueError: unless n is a whole number of at least 1.
            RuntimeError: after `close`, or when everything that is watched has diverged.
        """
        self._require_open()
        self._require_finite()
        if isinstance(n, bool) or not isinstance(n, int) or n < 1:
            raise ValueError(f"n is a whole number of at least 1, got {n!r}")
        self._playing = False
        with self._showing_errors():
            self._take_newest()
            for _ in range(n):
                if self._advance():
                    break
            self._draw()

    @in_turn
    def reset(self, seed: int | None = None) -> None:
        """Back to step 0 and to the figure's own start values, and stop there.

        Args:
            seed: whole number from 0 to 9999, for initial state and minibatches; None keeps it.

        Raises:
            ValueError: for another seed; nothing has changed then.
            RuntimeError: after `close`.
        """
        self._require_open()
        seed = self._run.seed if seed is None else _checked(seed)
        with self._showing_errors():
            self._restart(self.explorer.defaults(), seed)
            self._playing, self._wanted = False, None
            self._panel.show(self._values)
            self._draw()

    # Building

    def _begin(self) -> None:
        self._playing = False
        self._due = self._next_picture = 0.0
        self._restart(self._values, seed=0)

    def _tools(self) -> list[widgets.Widget]:
        self._transport = Transport(
            play=self._reporting(self._play_or_pause),
            step=self._reporting(self.step),
            reset=self._reporting(self.reset),
            seed=self._reporting(self._reseed),
        )
        return [self._transport.widget]

    # From values to picture

    def _restart(self, values: Values, seed: int) -> None:
        """A run from step 0; if that raises, the old one stays."""
        tensors = self.explorer.tensors(values)
        self._run = Run(cast(Simulation, self.explorer), seed, tensors)
        self._values, self._tensors, self._outputs = values, tensors, self._run.outputs

    @in_turn
    def _play_or_pause(self) -> None:
        self.pause() if self._playing else self.play()

    @in_turn
    def _reseed(self, seed: int) -> None:
        self._restart(self.values, seed)
        self._draw()

    def _apply(self, values: Values) -> None:
        """New values: a new beginning where they shape it, else a look at what comes next."""
        old = self._values
        if any(c.restart and values[c.name] != old[c.name] for c in self.explorer.controls):
            self._restart(values, self._run.seed)
        else:
            tensors = self.explorer.tensors(values)
            if not self._playing:
                self._run.look(tensors)
            self._values, self._tensors, self._outputs = values, tensors, self._run.outputs
        if not self._playing:
            self._draw()

    def _draw(self) -> None:
        began = perf_counter()
        places = self.explorer.places(self.explorer.numbers(self._values))
        self._canvas.draw(self._outputs, self._run.histories, places)
        self._speak(self._diverged_note())
        self._show_state()
        now = perf_counter()
        self._next_picture = now + max(_BETWEEN_PICTURES, 3 * (now - began))

    def _show_state(self) -> None:
        run = self._run
        self._transport.show(playing=self._playing, over=run.over, number=run.number, seed=run.seed)

    @property
    def _voice(self) -> str:
        return "off" if self._playing else "polite"  # it would never stop talking

    def _diverged_note(self) -> str:
        said = escape(self._run.complaint)
        return said and f'<div role="alert" style="line-height:1.5">{said}</div>'

    # Running

    @in_turn
    def _tick(self) -> float | None:
        """One turn of the loop: newest values, one step, a picture when it is time for one."""
        if not self._playing:
            return super()._tick()
        self._take_newest()
        if self._advance() or self._canvas.deserted:
            self.pause()
        elif perf_counter() >= self._next_picture and self._canvas.rested:
            self._draw()
        return self._until_next_step()

    def _take_newest(self) -> None:
        if self._wanted is not None:
            values, self._wanted = self._wanted, None
            self._apply(values)

    def _advance(self) -> bool:
        """One step. Returns whether something has diverged in it."""
        new = self._run.step(self._tensors)
        self._outputs = self._run.outputs
        return bool(new)

    def _until_next_step(self) -> float:
        rate = _RATES[str(self._transport.speed.value)]
        if rate is None or not self._playing:
            return 0
        now = perf_counter()
        self._due = max(self._due + 1 / rate, now - 1 / rate)  # what is late is caught up a little
        return max(0, self._due - now)

    # Errors

    def _require_finite(self) -> None:
        if self._run.over:
            raise RuntimeError("everything has diverged; reset() begins again")

    @in_turn
    def _failed(self, error: BaseException) -> None:
        self._playing = False
        super()._failed(error)
        if not self._closed:
            self._show_state()


def _checked(seed: int) -> int:
    if isinstance(seed, bool) or not isinstance(seed, int) or not 0 <= seed <= LARGEST_SEED:
        raise ValueError(f"seed is a whole number from 0 to {LARGEST_SEED}, got {seed!r}")
    return seed
