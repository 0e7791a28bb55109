"""What a request asks for beside an answer: weak signs, each common in honest use, of which only many say anything."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_LOOKED_AT = 1000
"""Characters at either end of a text in which words are looked for: instructions stand at one of them."""
_OFF = {"none", "off", "disabled", "minimal"}
_OCCURRENCES = 3
"""Of a word that are looked at, so that no text takes long."""
_THING = r"\b(answer|response|reply|output|completion|solution|essay|submission|assistant)s?\b"
_SCALE = r"(\bscale\b|\brubric|\b(from|between) \d|\bout of \d|\b\d{1,2} ?(-|–|to|/) ?\d{1,3}\b)"
_ORDER = re.compile(rf"\w+\b.{{0,80}}?{_THING}.{{0,200}}?{_SCALE}", re.DOTALL)
_COMPARISON = re.compile(rf"which (of the (two|following) )?(model\b|{_THING}).{{0,60}}\bbetter\b", re.DOTALL)
_BEGUN_BY = {
    **dict.fromkeys(("grade ", "score ", "rate ", "evaluate ", "judge ", "assess "), _ORDER),
    "which ": _COMPARISON,
    "a scale ": re.compile(r"a scale (of|from) \d"),
    "you are a": re.compile(r"you are an?( \w+){0,2} (judge|grader|evaluator)\b"),
    **{f"{kind} rubric": re.compile(r"\w+ rubric\b") for kind in ("following", "grading", "scoring", "evaluation")},
}
"""What each phrase begins with, which is quickly looked for, and the phrase."""


def asks_grading(*texts: str) -> bool:
    """Whether a text reads like an order to grade or to compare replies.

    A short list of English phrases, on purpose: it misses most wordings, and a teacher who grades homework is found by
    it. By itself it says nothing about anybody.
    """
    return any(_reads_like_judging(text) for text in texts if text)


def _reads_like_judging(text: str) -> bool:
    ends = text if len(text) <= 2 * _LOOKED_AT else f"{text[:_LOOKED_AT]}\n{text[-_LOOKED_AT:]}"
    lowered = ends.lower()
    if "[[a]]" in lowered and "[[b]]" in lowered:  # how a well-known benchmark's judges answer
        return True
    # This is done for each call, and nearly all have none of the words.
    begun = [(begins, phrase) for begins, phrase in _BEGUN_BY.items() if begins in lowered]
    return any(_holds(lowered, begins, phrase) for begins, phrase in begun)


def _holds(text: str, begins: str, phrase: re.Pattern[str]) -> bool:
    at = -1
    for _ in range(_OCCURRENCES):
        at = text.find(begins, at + 1)
        if at < 0:
            return False
        if not text[at - 1 : at].isalnum() and phrase.match(text, at, at + 320):
            return True
    return False


def asks_reasoning(body: Mapping[str, Any]) -> bool:
    """Whether a field asks the model to reason, or to show its reasoning, by any of the names that servers give it."""
    if _is_on(body.get("reasoning_effort")) or body.get("include_reasoning") is True:
        return True
    if body.get("enable_thinking") is True or _is_on(body.get("reasoning")) or _is_on(body.get("thinking")):
        return True
    for name in ("chat_template_kwargs", "extra_body"):
        inner = body.get(name)
        if isinstance(inner, dict) and (
            inner.get("enable_thinking") is True or _is_on(inner.get("thinking")) or _is_on(inner.get("reasoning"))
        ):
            return True
    included = body.get("include")
    return isinstance(included, list) and "reasoning.encrypted_content" in included


def _is_on(value: object) -> bool:
    """An effort by its name, true, or an object that switches it on; no field, and one that says none, is off."""
    if isinstance(value, str):
        return value.lower() not in _OFF
    if not isinstance(value, dict):
        return value is True
    if value.get("enabled") is False:
        return False
    switches = [value[name] for name in ("type", "effort", "summary") if isinstance(value.get(name), str)]
    return bool(value) and all(switch.lower() not in _OFF for switch in switches)


def asks_logprobs(body: Mapping[str, Any]) -> bool:
    """Whether a field asks for the probabilities of tokens. The older completions take a number, 0 included."""
    logprobs = body.get("logprobs")
    if logprobs is True or (isinstance(logprobs, int) and not isinstance(logprobs, bool)):
        return True
    if any(_is_positive(body.get(name)) for name in ("top_logprobs", "prompt_logprobs")):
        return True
    included = body.get("include")
    return isinstance(included, list) and "message.output_text.logprobs" in included


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and value > 0
