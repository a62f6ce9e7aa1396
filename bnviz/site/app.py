"""Sphinx's application as these extensions see it: with what they note on it while they build."""

from sphinx.application import Sphinx

__all__ = ["Book"]


class Book(Sphinx):
    """A type only: Sphinx makes the object, and its events add the notes."""

    bnviz_urls: dict[str, str]  # of libraries
    bnviz_page: str  # the folder of the page's own scripts
    bnviz_figures: dict[str, dict[str, str]]  # figure -> its files
    bnviz_numbers: dict[tuple[str, str], str]  # (page, figure) -> such as "2.1"
    bnviz_verdicts: dict[str, str]  # claim -> its verdict
    bnviz_cards: dict[str, str]  # page -> the first sentence of its card
