"""Every signal of an organisation: what it rests on, and what it says.

A higher value is always the more telling one. docs/watch-signals.md has their formulas and what benign customers show;
`benchmarks/watch_signals.py` prints how they are distributed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from stillroom.base.records import Family
from stillroom.watch.signals import sentences
from stillroom.watch.signals.sentences import Seen

Scale = Literal["linear", "log"]


@dataclass(frozen=True, slots=True)
class Signal:
    name: str
    family: Family
    scale: Scale
    """`log`: what counts is by how many times a value is larger, not by how much."""
    step: float
    """The smallest difference that means something; of the scale `log`, where values begin to count."""
    weight: float
    """0 to 1: what a standing of this signal counts. 0: it is told, and never scores."""
    sentence: Callable[[Seen], str]


def _time(name: str, scale: Scale, step: float, weight: float, sentence: Callable[[Seen], str]) -> Signal:
    return Signal(name, "time", scale, step, weight, sentence)


def _content(name: str, scale: Scale, step: float, weight: float, sentence: Callable[[Seen], str]) -> Signal:
    return Signal(name, "content", scale, step, weight, sentence)


LIGHT = 1 / 3
"""Of what ordinary customers ask for as well, and distillers need not."""

SIGNALS: tuple[Signal, ...] = (
    _time("volume", "log", 1, 1, sentences.volume),
    _time("growth", "log", 1, 1, sentences.growth),
    _time("round_the_clock", "linear", 0.1, 1, sentences.round_the_clock),
    _time("bursts", "log", 1, 1, sentences.bursts),
    _time("steadiness", "log", 0.5, 1, sentences.steadiness),
    _time("new_model", "linear", 0.1, 1, sentences.new_model),
    _content("never_repeated", "linear", 0.1, LIGHT, sentences.never_repeated),
    _content("breadth", "linear", 0.1, LIGHT, sentences.breadth),
    _content("template_concentration", "linear", 0.1, 1, sentences.template_concentration),
    _content("template_fillings", "linear", 0.1, 1, sentences.template_fillings),
    _content("bank_coverage", "log", 0.01, 1, sentences.bank_coverage),
    _content("bank_share", "log", 0.01, 1, sentences.bank_share),
    _content("bank_evenness", "log", 1, 1, sentences.bank_evenness),
    _content("bank_order", "linear", 0.1, 1, sentences.bank_order),
    _content("test_bank_coverage", "log", 0.01, 0, sentences.test_bank_coverage),
    _content("long_replies", "linear", 0.1, LIGHT, sentences.long_replies),
    _content("asks_reasoning", "linear", 0.1, LIGHT, sentences.asks_reasoning),
    _content("many_samples", "linear", 0.1, LIGHT, sentences.many_samples),
    _content("asks_logprobs", "linear", 0.1, LIGHT, sentences.asks_logprobs),
    _content("asks_grading", "linear", 0.1, LIGHT, sentences.asks_grading),
)
BY_NAME = {signal.name: signal for signal in SIGNALS}
