"""What makes a reply unfit to learn from, whether it is right or not, seen from the reply and its question alone."""

from __future__ import annotations

import re
from collections.abc import Callable

from stillroom.base.records import Question
from stillroom.check.language import (
    foreign_word,
    has_words,
    is_about_language,
    is_mostly_latin,
    language_of,
    other_language,
    scripts_in,
    scripts_of,
)
from stillroom.check.language_names import LANGUAGES
from stillroom.check.repetition import find_loop
from stillroom.check.rows import Row
from stillroom.check.settings import OFF, SAME_AS_QUESTION, CheckSettings
from stillroom.text.think import CLOSE, OPEN, join_think
from stillroom.verify.markers import marked_answers

Finding = tuple[str, str]
"""A reason, and what was found."""
TokenCount = Callable[[str], int]

CHARACTERS_PER_TOKEN = 4
"""Where nobody counted tokens. Of English text; of mathematics and of most other languages it is less."""
LONGEST_REFUSAL = 600
"""Characters: whoever says more has answered something."""

_REFUSAL = re.compile(
    r"""
    (?: (?:i\s?['’]?\s?a?m | i\s+am) \s+ (?:really\s+|very\s+|so\s+)? (?:sorry|afraid) \b [^.!?\n]{0,40}?
      | (?:i\s+|my\s+)? apolog(?:ies|y|i[sz]e) \b [^.!?\n]{0,40}?
      | sorry [,.]? \s* (?:but\s+)?
      | unfortunately [,]? \s*
      | as\s+an?\s+(?:ai|artificial|large\s+language) \b [^.!?\n]{0,60}?
      )?
    \b (?: i \s+ (?:can(?:not|\s+not|['’]?t) | could(?:\s+not|n['’]?t) | won['’]?t | will\s+not | must\s+decline
            | am\s+(?:unable|not\s+able|not\s+allowed)\s+to | am\s+programmed | have\s+to\s+decline)
       | i['’]m \s+ (?:unable|not\s+able|not\s+allowed)\s+to
       | (?:unable|not\s+able)\s+to )
    \s+ (?:be\s+able\s+to\s+)? (?:in\s+good\s+conscience\s+)?
    (?: help | assist | comply | fulfil | provide | answer | do\s+that | do\s+this | discuss | support | engage
      | continue | share | create | generate | write | offer | give | participate | respond ) \b
    """,
    re.VERBOSE | re.IGNORECASE,
)


class Filters:
    """The filters of one check. `count_tokens` is the student's own count, where its tokenizer is known."""

    def __init__(self, settings: CheckSettings, count_tokens: TokenCount | None = None) -> None:
        self._settings = settings
        self._count_tokens = count_tokens

    def unfit(self, question: Question, replies: list[Row]) -> list[Finding | None]:
        """Of each reply the first filter that it does not pass, in the order of REASONS; None for a fit one."""
        asked = _Asked(question, self._settings.language)
        return [self._first(reply, asked) for reply in replies]

    def tokens(self, reply: Row) -> tuple[int, bool]:
        """Tokens of reasoning and answer, and whether somebody counted them; else they are estimated."""
        text = join_think(reply["reasoning"], (reply["answer"] or "") + (reply["tool_calls"] or ""))
        if self._count_tokens is not None:
            return self._count_tokens(text), True
        counted = reply["completion_tokens"]
        if counted is not None and reply["reasoning_form"] in ("hidden", "summary"):
            counted -= reply["reasoning_tokens"] or 0  # counted and paid for, and not part of this text
        if counted is not None and counted > 0:
            return int(counted), True
        return len(text) // CHARACTERS_PER_TOKEN, False

    def _first(self, reply: Row, asked: _Asked) -> Finding | None:
        reasoning, answer = (reply["reasoning"] or "").strip(), (reply["answer"] or "").strip()
        return (
            self._incomplete(reply, reasoning, answer)
            or self._refused_in_words(answer)
            or self._too_long(reply)
            or self._repetition(reasoning, answer)
            or self._language(reasoning, answer, asked)
        )

    def _incomplete(self, reply: Row, reasoning: str, answer: str) -> Finding | None:
        if reply["status"] == "truncated":
            return (
                "truncated",
                f"cut at {reply['completion_tokens'] or reply['max_tokens'] or 'an unknown number of'} tokens",
            )
        if reply["status"] == "empty" and self._answers(reasoning):
            return "answer_in_reasoning", "nothing follows the reasoning"
        if reply["status"] != "ok":
            return reply["status"], reply["error_kind"] or reply["finish_reason"] or "no more is known"
        if self._settings.require_reasoning and not reasoning:
            hidden = reply["reasoning_form"] == "hidden"
            return "no_reasoning", "the API does not show it" if hidden else "the reply holds none"
        if reply["reasoning_form"] == "summary" and not self._settings.accept_summaries:
            return "summary_reasoning", "the API gives a summary of the reasoning only"
        if reply["block"] in ("unclosed", "not_well_formed"):
            return "broken_think_block", reply["block"].replace("_", " ")
        if any(tag in text for tag in (OPEN, CLOSE) for text in (reasoning, answer)):
            return "broken_think_block", "a think tag stands inside the text"
        if reply["tool_calls"]:
            return None  # a call may stand there without a word
        if not answer and self._answers(reasoning):
            return "answer_in_reasoning", "nothing follows the reasoning"
        if not answer:
            return "empty_answer", "nothing follows the reasoning" if reasoning else "the reply is blank"
        return None

    def _answers(self, reasoning: str) -> bool:
        return "answer_in_reasoning" not in self._settings.ignore and bool(marked_answers(reasoning))

    def _refused_in_words(self, answer: str) -> Finding | None:
        if "refused_in_words" in self._settings.ignore or len(answer) > LONGEST_REFUSAL:
            return None
        match = _REFUSAL.match(answer.lstrip("*_# \n"))
        if match is None or marked_answers(answer):
            return None
        return "refused_in_words", f"it begins: {' '.join(match[0].split())}"

    def _too_long(self, reply: Row) -> Finding | None:
        most = self._settings.max_tokens
        if most is None:
            return None
        tokens, is_counted = self.tokens(reply)
        if tokens <= most:
            return None
        return "too_long", f"{'' if is_counted else 'about '}{tokens} tokens, at most {most} are wanted"

    def _repetition(self, reasoning: str, answer: str) -> Finding | None:
        if "repetition" in self._settings.ignore:
            return None
        for name, text in (("reasoning", reasoning), ("answer", answer)):
            loop = find_loop(text)
            if loop is not None:
                unit = " ".join(loop.unit.split())
                shown = unit if len(unit) <= 60 else f"{unit[:59]}…"
                place = "at the end" if loop.start + loop.length >= len(text) - 1 else "inside"
                return "repetition", f"{loop.copies} times {shown!r}, {place} of the {name}"
        return None

    def _language(self, reasoning: str, answer: str, asked: _Asked) -> Finding | None:
        if self._settings.language == OFF:
            return None
        for name, text in (("reasoning", reasoning), ("answer", answer)):
            if not text or (name == "answer" and not asked.binds_the_answer):
                continue
            if asked.scripts is not None and "mixed_scripts" not in self._settings.ignore:
                word = foreign_word(text, asked.scripts)
                if word is not None and (asked.has_words or is_mostly_latin(text)):
                    return "mixed_scripts", f"{word[0][:40]!r} is {word[1]}, in the {name}"
            if asked.language is not None:
                other = other_language(text, asked.language)
                if other is not None:
                    found, wanted = LANGUAGES[other], LANGUAGES[asked.language]
                    return "wrong_language", f"the {name}, or a part of it, is {found}, and {wanted} is wanted"
        return None


class _Asked:
    """What a question says of the language of its replies. `language` and `scripts` are None where it says nothing."""

    def __init__(self, question: Question, wanted: str) -> None:
        self.language: str | None = None
        self.scripts: frozenset[str] | None = None
        self.has_words = False
        """Whether it shows in which script it is written. "2 + 3?" may be answered in any, but not in two."""
        self.binds_the_answer = False
        """A question may ask for an answer in another language ("Say it in French"), but not where it has one right
        answer that a verifier knows, or where the recipe names the language."""
        if wanted == OFF:
            return
        text = "\n".join(message.content for message in question.messages)
        if is_about_language(text):
            return
        self.has_words = wanted != SAME_AS_QUESTION or has_words(text)
        if wanted == SAME_AS_QUESTION:
            self.language = language_of(text)
            self.scripts = scripts_in(text)
            self.binds_the_answer = question.kind != "none"
        else:
            self.language = wanted
            self.scripts = scripts_of(wanted) | scripts_in(text)
            self.binds_the_answer = True
