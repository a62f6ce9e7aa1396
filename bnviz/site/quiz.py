"""Sphinx extension: an admonition of the class `quiz` asks a question and answers every choice.

    ::::{admonition} A question?
    :class: quiz

    :::{admonition} a wrong option
    :class: dropdown
    **Not quite.** Why it is tempting, and where it fails.
    :::

    :::{admonition} the right option
    :class: dropdown
    **Right.** Why it is right.
    :::
    ::::

It is no directive of its own because JupyterLab shows the notebooks, too, and knows admonitions.
On the page each option opens its own feedback: plain HTML, which works without a script, from the
keyboard, and on paper. One option is open at a time.
"""

from typing import cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.util import logging

__all__ = ["setup"]

_LOGGER = logging.getLogger(__name__)
_SAID = {True: "Right.", False: "Not quite."}
_MEANT = {said: right for right, said in _SAID.items()}


class Quiz(nodes.General, nodes.Element):
    """A question (a paragraph) and its options."""


class Option(nodes.General, nodes.Element):
    """An option (a paragraph) and its feedback; `right` says whether it is the answer."""


class Feedback(nodes.General, nodes.Element):
    """What a reader is told who has chosen an option."""


class Quizzes(SphinxTransform):
    """Make a `Quiz` of every admonition of that class."""

    default_priority = 210  # before references are resolved: they then find their final place

    def apply(self, **_) -> None:
        for box in list(self.document.findall(nodes.admonition)):
            if "quiz" not in box["classes"]:
                continue
            try:
                box.replace_self(self._quiz(box))
            except ValueError as error:
                _LOGGER.warning("%s", error, location=box)

    def _quiz(self, box: nodes.admonition) -> Quiz:
        question, *boxes = cast(list[nodes.Element], box.children)
        quiz = Quiz(name=f"quiz-{self.env.new_serialno('bnviz-quiz')}")
        quiz += nodes.paragraph("", "", *question.children)
        options = [_option(option, quiz["name"]) for option in boxes]
        if sum(option["right"] for option in options) != 1:
            raise ValueError("exactly one option of a quiz is right: **Right.**")
        quiz += options
        return quiz


def _option(box: nodes.Node, name: str) -> Option:
    if not isinstance(box, nodes.admonition) or "dropdown" not in box["classes"]:
        raise ValueError("a quiz holds options (admonitions, class dropdown) and nothing else")
    title, *feedback = cast(list[nodes.Element], box.children)
    right = _take_verdict(feedback[0]) if feedback else None
    if right is None:
        raise ValueError("the feedback of an option begins with **Right.** or **Not quite.**")
    option = Option(right=right, name=name)
    option += nodes.paragraph("", "", *title.children)
    option += Feedback("", *feedback, right=right)
    return option


def _take_verdict(words: nodes.Element) -> bool | None:
    """Whether a paragraph begins with right or not quite; the page says that in its own way."""
    while words.children and words[0] == "":  # the parser leaves one in front of bold words
        words.pop(0)
    verdict = words.children[0] if words.children else None
    right = _MEANT.get(verdict.astext()) if isinstance(verdict, nodes.strong) else None
    if right is not None:
        words.pop(0)
        if words.children and isinstance(words[0], nodes.Text):
            words[0] = nodes.Text(words[0].astext().lstrip())
    return right


def setup(app: Sphinx) -> dict:
    """Register the transform, and how a quiz is written."""
    app.add_transform(Quizzes)
    for node, write in ((Quiz, _quiz), (Option, _option_html), (Feedback, _feedback)):
        app.add_node(node, html=write, text=_plain, latex=_plain)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def _open_quiz(writer, node: Quiz) -> None:
    name = node["name"]
    writer.body.append(f'<div class="bnviz-quiz" role="group" aria-labelledby="{name}">\n')
    question = cast(nodes.Element, node[0])
    question["ids"].append(name)
    question["classes"].append("bnviz-question")


def _open_option(writer, node: Option) -> None:
    kind, name = "right" if node["right"] else "wrong", node["name"]
    writer.body.append(f'<details class="bnviz-option bnviz-{kind}" name="{name}"><summary>')
    words = cast(nodes.Element, node[0])
    words.replace_self(nodes.inline("", "", *words.children))


def _open_feedback(writer, node: Feedback) -> None:
    said = _SAID[node["right"]]
    writer.body.append(f'</summary><div class="bnviz-feedback"><p><b>{said}</b></p> ')


def _close(tag: str):
    return lambda writer, node: writer.body.append(f"</{tag}>\n")


def _nothing(writer, node) -> None:
    """Other formats show the children as they are."""


_quiz = (_open_quiz, _close("div"))
_option_html = (_open_option, _close("details"))
_feedback = (_open_feedback, _close("div"))
_plain = (_nothing, _nothing)
