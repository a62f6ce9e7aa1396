"""Exercises of the book: what each asks for, and what to say of a wrong answer.

A notebook has a place to fill in and calls `check` below it:

    from bnviz.exercises.check import check

    x_hat = ...
    check("steps-1", x_hat=x_hat)

One module for each chapter (and one for a second page, `whitening`) holds what is right and which
mistakes are known, by the exercise's number; `answers` has the kinds of answer. The solutions stand
in the notebooks, hidden.
"""
