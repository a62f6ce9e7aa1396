"""`check`: what a notebook calls below the place that the reader fills in."""

from typing import Any

from bnviz.exercises import (
    apart,
    backprop,
    batches,
    benefits,
    inference,
    landscape,
    placement,
    shift,
    step_size,
    steps,
)
from bnviz.exercises.answers import NOT_YET, Answer

__all__ = ["EXERCISES", "check"]

EXERCISES: dict[str, dict[str, Answer]] = {
    f"{chapter.__name__.rpartition('.')[2].replace('_', '-')}-{number}": asked
    for chapter in (
        shift,
        steps,
        backprop,
        placement,
        inference,
        benefits,
        landscape,
        batches,
        step_size,
        apart,
    )
    for number, asked in chapter.EXERCISES.items()
}


def check(exercise: str, /, **answers: Any) -> None:
    """Print what is right and what is wrong about the answers to an exercise.

    Args:
        exercise: chapter and number, such as "steps-1".
        answers: by the names that the exercise uses; `...` for one that is not there yet.

    Raises:
        ValueError: for an unknown exercise, and unless the names are those that it asks for.

    >>> check("steps-1", x_hat=..., gamma_beta=(2, 3))
    x_hat: not filled in yet
    gamma_beta: beta is the mean of the output, whatever gamma is
    """
    if exercise not in EXERCISES:
        raise ValueError(f"no exercise {exercise!r}; there are {', '.join(EXERCISES)}")
    asked = EXERCISES[exercise]
    if answers.keys() != asked.keys():
        given = ", ".join(answers) or "nothing"
        raise ValueError(f"exercise {exercise} asks for {', '.join(asked)}; got {given}")
    faults = {name: _fault(asked[name], given) for name, given in answers.items()}
    for name, fault in faults.items():
        print(f"{name}: {fault or 'right'}")


def _fault(answer: Answer, given: Any) -> str | None:
    return NOT_YET if given is ... or given is None else answer.fault(given)
