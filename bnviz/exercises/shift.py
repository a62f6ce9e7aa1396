"""Exercises of shift."""

from bnviz.exercises.answers import Answer

__all__ = ["EXERCISES"]

EXERCISES: dict[str, dict[str, Answer]] = {}
