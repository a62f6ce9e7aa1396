"""Sphinx extension: the directive `{quiz}` asks a question and answers every choice.

    :::{quiz} A question?
    - [ ] a wrong option
      > Why it is tempting, and where it fails.
    - [x] the right option
      > Why it is right.
    :::

Each option opens its own feedback: plain HTML, which works without a script, from the keyboard, and
on paper. One option is open at a time.
"""

import re
from typing import cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

__all__ = ["setup"]

_BOX = re.compile(r"\[([ x])\]\s+")
_SAID = {True: "Right.", False: "Not quite."}


class Quiz(nodes.General, nodes.Element):
    """A question (a paragraph) and its options."""


class Option(nodes.General, nodes.Element):
    """An option (a paragraph) and its feedback; `right` says whether it is the answer."""


class Feedback(nodes.General, nodes.Element):
    """What a reader is told who has chosen an option."""


class QuizDirective(SphinxDirective):
    """`{quiz} QUESTION`, with a list of options as above."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        quiz = Quiz(name=f"quiz-{self.env.new_serialno('bnviz-quiz')}")
        words, messages = self.state.inline_text(self.arguments[0], self.lineno)
        quiz += nodes.paragraph("", "", *words)
        body = nodes.Element()
        self.state.nested_parse(self.content, self.content_offset, body)
        choices = body[0] if len(body) == 1 else None
        if not isinstance(choices, nodes.bullet_list):
            raise self.error("a quiz holds one list of options, and nothing else")
        options = [self._option(item, quiz["name"]) for item in choices.children]
        if sum(option["right"] for option in options) != 1:
            raise self.error("exactly one option of a quiz is right: [x]")
        quiz += options
        return [quiz, *messages]

    def _option(self, item: nodes.Node, name: str) -> Option:
        text, *feedback = item.children
        first = next(iter(text.findall(nodes.Text)), nodes.Text(""))
        box = _BOX.match(first.astext())
        if not box or len(feedback) != 1 or not isinstance(feedback[0], nodes.block_quote):
            raise self.error("an option begins with [ ] or [x] and ends with its feedback: > why")
        first.parent.replace(first, nodes.Text(first.astext()[box.end() :]))
        option = Option(right=box[1] == "x", name=name)
        option += text
        option += Feedback("", *feedback[0].children, right=option["right"])
        return option


def setup(app: Sphinx) -> dict:
    """Register the directive, and how it is written."""
    app.add_directive("quiz", QuizDirective)
    for node, write in ((Quiz, _quiz), (Option, _option), (Feedback, _feedback)):
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
_option = (_open_option, _close("details"))
_feedback = (_open_feedback, _close("div"))
_plain = (_nothing, _nothing)
