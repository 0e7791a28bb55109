"""Tokens into text as they come: characters made whole, reasoning told apart from the answer, stop strings found."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from stillroom.text.think import CLOSE, OPEN

REPLACEMENT = "\ufffd"
"""What a decoder writes for bytes that are no character, or not yet."""


_LOOKED_BACK = 8
"""Tokens of a prompt; no character has more."""


class Decoder(Protocol):
    def decode(self, ids: list[int], skip_special_tokens: bool = True) -> str: ...


class TokenText:
    """The text that each token adds. Tokens that end inside a character add nothing until it is whole."""

    def __init__(self, decoder: Decoder, hidden_ids: frozenset[int], after: Sequence[int] = ()) -> None:
        """`after`: the tokens that the text goes on from, where it is not the start of one."""
        self._decoder = decoder
        self._hidden_ids = hidden_ids
        self._window = _last_known(decoder, [token for token in after[-_LOOKED_BACK:] if token not in hidden_ids])
        """The tokens that gave text last, and those since. A tokenizer may write a token differently at the start of a
        text (without its space), so that new tokens are always decoded after one that is known."""
        self._known = len(self._window)
        """How many tokens of the window are known."""
        self._given = decoder.decode(self._window, skip_special_tokens=False)
        """The text of the window that was given."""

    def feed(self, token: int) -> str:
        if token in self._hidden_ids:
            return ""
        self._window.append(token)
        text = self._decoder.decode(self._window, skip_special_tokens=False)
        # Half a character is decoded as one or several of these; what precedes them is final.
        whole = text.rstrip(REPLACEMENT)
        new = whole[len(self._given) :]
        if whole == text:
            self._window = self._window[self._known :]
            self._known = len(self._window)
            self._given = self._decoder.decode(self._window, skip_special_tokens=False)
        elif new:
            self._given = whole
        return new

    def finish(self) -> str:
        """What was held for the rest of a character that never came."""
        return self._decoder.decode(self._window, skip_special_tokens=False)[len(self._given) :]


def _last_known(decoder: Decoder, tokens: list[int]) -> list[int]:
    """The fewest of the last tokens that are whole characters; none where they end inside one."""
    for start in range(len(tokens) - 1, -1, -1):
        if REPLACEMENT not in decoder.decode(tokens[start:], skip_special_tokens=False):
            return tokens[start:]
    return []


class ThinkStream:
    """`stillroom.text.think.split_think` for a text that comes in pieces, giving each part as soon as it is certain.

    A closing tag without an opening one is not a block here, unless the prompt opened it: it comes too late to know.
    """

    def __init__(self, *, opened_by_prompt: bool = False) -> None:
        self.state: Literal["start", "reasoning", "answer", "plain"] = "start"
        self._opened_by_prompt = opened_by_prompt
        self._held = ""
        self._at_edge = True
        """Nothing of this part was given yet, so that white space is still its edge."""

    def feed(self, text: str) -> tuple[str, str]:
        """New (reasoning, answer)."""
        self._held += text
        if self.state == "start":
            self._start()
        reasoning = self._reasoning() if self.state == "reasoning" else ""
        if self.state in ("start", "reasoning"):
            return reasoning, ""
        if self.state == "answer":
            return reasoning, self._without_edges(self._held)
        answer, self._held = self._held, ""
        return reasoning, answer

    def finish(self) -> tuple[str, str]:
        """What was held back, now that nothing follows."""
        if self.state == "start":
            self.state = "reasoning" if self._opened_by_prompt else "plain"
            return (self._held.strip(), "") if self._opened_by_prompt else ("", self._held)
        return (self._held.rstrip() if self.state == "reasoning" else ""), ""

    def _start(self) -> None:
        stripped = self._held.lstrip()
        if stripped.startswith(OPEN):
            self.state, self._held = "reasoning", stripped[len(OPEN) :]
        elif not OPEN.startswith(stripped):
            self.state = "reasoning" if self._opened_by_prompt else "plain"

    def _reasoning(self) -> str:
        reasoning, close, rest = self._held.partition(CLOSE)
        if not close:
            maybe = held_back(self._held, (CLOSE,))
            return self._without_edges(self._held[: len(self._held) - maybe], self._held[len(self._held) - maybe :])
        given = self._without_edges(reasoning)
        self.state, self._held, self._at_edge = "answer", rest, True
        return given

    def _without_edges(self, text: str, maybe: str = "") -> str:
        """`text` without white space at its start; that at its end, and `maybe`, are held until more follows."""
        if self._at_edge:
            text = text.lstrip()
        given = text.rstrip()
        self._held = text[len(given) :] + maybe
        self._at_edge = self._at_edge and not given
        return given


class StopStrings:
    """The text up to the first of `stops`, which is not part of it."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = stops
        self._held = ""
        self.found = False

    def feed(self, text: str) -> str:
        if self.found:
            return ""
        self._held += text
        places = [place for stop in self._stops if (place := self._held.find(stop)) >= 0]
        if places:
            self.found = True
            return self._held[: min(places)]
        keep = held_back(self._held, self._stops)
        given, self._held = self._held[: len(self._held) - keep], self._held[len(self._held) - keep :]
        return given

    def finish(self) -> str:
        return "" if self.found else self._held


def held_back(text: str, marks: Sequence[str]) -> int:
    """Length of the longest end of `text` that may be the beginning of one of `marks`."""
    longest = min(len(text), max((len(mark) for mark in marks), default=1) - 1)
    for length in range(longest, 0, -1):
        if any(mark.startswith(text[-length:]) for mark in marks):
            return length
    return 0


class ReplyText:
    """One reply as it grows. Stop strings are looked for in the answer, not in the reasoning."""

    def __init__(
        self, decoder: Decoder, hidden_ids: frozenset[int], stops: Sequence[str], *, opened_by_prompt: bool
    ) -> None:
        self.reasoning: str | None = None
        """None until a think block is seen."""
        self.answer = ""
        self.tokens = 0
        self.reasoning_tokens = 0
        """Tokens up to and including the closing tag."""
        self._text = TokenText(decoder, hidden_ids)
        self._think = ThinkStream(opened_by_prompt=opened_by_prompt)
        self._stop = StopStrings(stops)

    @property
    def stopped(self) -> bool:
        """A stop string was found: later tokens are of no interest."""
        return self._stop.found

    def feed(self, tokens: Sequence[int]) -> tuple[str, str]:
        """New (reasoning, answer)."""
        reasoning = answer = ""
        for token in tokens:
            if self.stopped:
                break
            self.tokens += 1
            was_answer = self._think.state == "answer"
            more_reasoning, more_answer = self._think.feed(self._text.feed(token))
            reasoning += more_reasoning
            answer += self._stop.feed(more_answer)
            if self._think.state == "plain":
                self.reasoning_tokens = 0
            elif not was_answer:
                self.reasoning_tokens += 1
        return self._add(reasoning, answer)

    def finish(self) -> tuple[str, str]:
        """Last (reasoning, answer)."""
        if self.stopped:
            return "", ""
        reasoning, answer = self._think.feed(self._text.finish())
        last_reasoning, last_answer = self._think.finish()
        answer = self._stop.feed(answer + last_answer)
        if self._think.state == "plain":
            self.reasoning_tokens = 0
        return self._add(reasoning + last_reasoning, answer + self._stop.finish())

    def _add(self, reasoning: str, answer: str) -> tuple[str, str]:
        if self._think.state in ("reasoning", "answer"):
            self.reasoning = (self.reasoning or "") + reasoning
        self.answer += answer
        return reasoning, answer


class PlainText:
    """A text as it goes on from a prompt: whatever stands in it, think blocks too, is the answer."""

    reasoning: str | None = None
    reasoning_tokens = 0

    def __init__(
        self, decoder: Decoder, hidden_ids: frozenset[int], stops: Sequence[str], prompt: Sequence[int]
    ) -> None:
        self.answer = ""
        self.tokens = 0
        self._text = TokenText(decoder, hidden_ids, prompt)
        self._stop = StopStrings(stops)

    @property
    def stopped(self) -> bool:
        """A stop string was found: later tokens are of no interest."""
        return self._stop.found

    def feed(self, tokens: Sequence[int]) -> tuple[str, str]:
        """No reasoning, and what is new of the text."""
        more = ""
        for token in tokens:
            if self.stopped:
                break
            self.tokens += 1
            more += self._stop.feed(self._text.feed(token))
        self.answer += more
        return "", more

    def finish(self) -> tuple[str, str]:
        """What was held back, now that nothing follows."""
        if self.stopped:
            return "", ""
        last = self._stop.feed(self._text.finish()) + self._stop.finish()
        self.answer += last
        return "", last
