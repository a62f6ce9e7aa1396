"""Sphinx's host: figures, ledger, quizzes and policies of the published pages."""
