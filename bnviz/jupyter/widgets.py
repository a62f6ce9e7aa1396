"""The controls of an Explorer and the buttons of a Simulation as ipywidgets."""

from collections.abc import Callable, Mapping
from html import escape

import ipywidgets as widgets

from bnviz.figure.controls import LARGEST_SEED, SPEEDS, Choice, Control, Slider, Toggle
from bnviz.figure.explorer import readable
from bnviz.jupyter.turns import in_turn

__all__ = ["Panel", "Transport", "slider_text"]

_WIDE = {"width": "auto", "margin": "0"}
_TABULAR = "font-variant-numeric:tabular-nums"  # digits of one width do not dance


def slider_text(slider: Slider, value: float) -> str:
    """A value as its slider shows it, with the note.

    >>> momentum = Slider("m", "momentum", 0, 1, 0.1, 0.01, note="old keeps {other}")
    >>> slider_text(momentum, 0.25)
    '0.25 (old keeps 0.75)'
    """
    note = slider.note.replace("{other}", readable(1 - value, slider.format))
    return readable(value, slider.format) + (f" ({note})" if note else "")


class _SliderItem:
    """A slider that stands at the position of its value, below a line with label and value."""

    def __init__(self, slider: Slider):
        self.slider = slider
        self._line = widgets.HTML(layout=widgets.Layout(**_WIDE))
        self.input = widgets.FloatSlider(
            min=slider.position(slider.min),
            max=slider.position(slider.max),
            step=slider.step,
            readout=False,
            tooltip=slider.label,
            layout=widgets.Layout(**_WIDE),
        )
        self.box = widgets.VBox([self._line, self.input])

    @property
    def value(self) -> float:
        return self.slider.stop_at(self.input.value)

    def show(self, value: float) -> None:
        self.input.value = self.slider.position(value)
        self.label(value)

    def label(self, value: float) -> None:
        self._line.value = (
            '<div style="display:flex;flex-wrap:wrap;gap:0 12px;line-height:20px">'
            f'<span class="bnviz-label">{escape(self.slider.label)}</span>'
            f'<span style="margin-left:auto;{_TABULAR}">'
            f"{escape(slider_text(self.slider, value))}</span></div>"
        )


class _ChoiceItem:
    """A dropdown below its label."""

    def __init__(self, choice: Choice):
        line = f'<div class="bnviz-label" style="line-height:20px">{escape(choice.label)}</div>'
        self.input = widgets.Dropdown(
            options=choice.options,
            tooltip=choice.label,
            layout=widgets.Layout(width="auto", margin="2px 0"),
        )
        self.box = widgets.VBox([widgets.HTML(line, layout=widgets.Layout(**_WIDE)), self.input])

    @property
    def value(self) -> str:
        return str(self.input.value)

    def show(self, value: str) -> None:
        self.input.value = value

    def label(self, value: str) -> None:
        pass


class _ToggleItem:
    """A checkbox before its label."""

    def __init__(self, toggle: Toggle):
        self.input = widgets.Checkbox(
            description=toggle.label,
            indent=False,
            tooltip=toggle.label,
            layout=widgets.Layout(**_WIDE),
        )
        self.box = widgets.VBox([self.input], layout=widgets.Layout(justify_content="flex-end"))

    @property
    def value(self) -> bool:
        return self.input.value

    def show(self, value: bool) -> None:
        self.input.value = value

    def label(self, value: bool) -> None:
        pass


_ITEMS = {Slider: _SliderItem, Choice: _ChoiceItem, Toggle: _ToggleItem}


class Panel:
    """All controls of a figure.

    Args:
        controls: in the order in which they are shown.
        moved: called with a name and the new value after a reader moved a control.

    Attributes:
        widget: the box that holds them.
        inputs: the ipywidgets by the names of the controls; a slider's value is its POSITION.
    """

    def __init__(self, controls: tuple[Control, ...], moved: Callable[[str, object], None]):
        self._moved = moved
        self._items = {c.name: _ITEMS[type(c)](c) for c in controls}
        self._quiet = False
        self.inputs = {name: item.input for name, item in self._items.items()}
        for name, item in self._items.items():
            item.box.add_class("bnviz-control")
            item.box.add_class(f"bnviz-control-{name}")
            item.input.observe(lambda change, name=name: self._changed(name), "value")
        self.widget = widgets.GridBox(
            [item.box for item in self._items.values()],
            layout=widgets.Layout(
                grid_template_columns="repeat(auto-fill, minmax(270px, 1fr))",
                grid_gap="6px 28px",
                align_items="flex-end",
                margin="4px 2px 8px",
            ),
        )

    @in_turn
    def show(self, values: Mapping[str, object]) -> None:
        """Put the named controls where their values are, without telling anybody."""
        self._quiet = True
        try:
            for name, value in values.items():
                self._items[name].show(value)
        finally:
            self._quiet = False

    @in_turn
    def _changed(self, name: str) -> None:
        if self._quiet:
            return
        item = self._items[name]
        item.label(item.value)
        self._moved(name, item.value)


class Transport:
    """Play, Step and Reset, seed and speed, and how far a run got.

    Args:
        play, step, reset: called when their button is pressed; Play is also Pause.
        seed: called with the new seed.
    """

    def __init__(
        self,
        play: Callable[[], None],
        step: Callable[[], None],
        reset: Callable[[], None],
        seed: Callable[[int], None],
    ):
        self.play = _button("Play", "play", play, "begin or stop the training", width="100px")
        self.play.button_style = "primary"
        self.step = _button("Step", "step-forward", step, "do one step")
        self.reset = _button("Reset", "undo", reset, "back to step 0")
        self.seed = widgets.BoundedIntText(
            0,
            min=0,
            max=LARGEST_SEED,
            description="seed",
            layout=widgets.Layout(width="116px"),
            style={"description_width": "34px"},
        )
        self.speed = widgets.Dropdown(
            options=[(speed.label, speed.name) for speed in SPEEDS],
            value="normal",
            description="speed",
            layout=widgets.Layout(width="206px"),
            style={"description_width": "42px"},
        )
        self.status = widgets.HTML(layout=widgets.Layout(margin="0 0 0 12px"))
        self._quiet = False
        self._reseed = seed
        self.seed.observe(self._seed_changed, "value")
        self.widget = widgets.HBox(
            [self.play, self.step, self.reset, self.seed, self.speed, self.status],
            layout=widgets.Layout(flex_flow="row wrap", align_items="center", overflow="visible"),
        )

    @in_turn
    def show(self, *, playing: bool, over: bool, number: int, seed: int) -> None:
        """Bring buttons and status up to date."""
        self.play.description = "Pause" if playing else "Play"
        self.play.icon = "pause" if playing else "play"
        self.play.disabled = self.step.disabled = over
        hint = "" if number or playing else ": press Play"
        self.status.value = f'<span role="status" style="{_TABULAR}">step {number}{hint}</span>'
        self._quiet = True
        self.seed.value = seed
        self._quiet = False

    @in_turn
    def _seed_changed(self, change) -> None:
        if not self._quiet:
            self._reseed(change["new"])


def _button(
    text: str, icon: str, pressed: Callable[[], None], tooltip: str, width: str = "84px"
) -> widgets.Button:
    button = widgets.Button(
        description=text, icon=icon, tooltip=tooltip, layout=widgets.Layout(width=width)
    )
    button.on_click(lambda _: pressed())
    return button
