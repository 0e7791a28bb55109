"""What is charged: exact, in decimals; and what stands in for a count that nobody made."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.client.price import usd
from stillroom.client.settings import Price
from stillroom.client.usage import Usage, read_usage
from stillroom.serve.meter.cost import model_pricing, nano_usd
from stillroom.serve.meter.estimate import estimated_tokens

REPLIES = Path(__file__).parents[2] / "data" / "replies" / "replies.jsonl"
PRICE = Price(input_per_million=Decimal("0.55"), output_per_million=Decimal("2.19"), cached_per_million=Decimal("0.14"))


def test_cached_tokens_are_charged_as_cached() -> None:
    pricing = model_pricing(PRICE)
    usage = Usage(prompt_tokens=1_000, cached_tokens=400, completion_tokens=10, reasoning_tokens=4)
    assert usd(pricing.cost(usage, 0)) == "0.0004079"
    assert pricing.cost(Usage(1_000, None, 10), 0) == Decimal("0.0005719")
    assert pricing.cost(Usage(1_000, 5_000, 0), 0) == Decimal("0.00014")  # more than there are: all of them
    assert pricing.cost(Usage(), 0) is None
    assert pricing.most(1_000, 10, 0) == Decimal("0.0005719")


def test_what_costs_nothing() -> None:
    pricing = model_pricing("none")
    assert pricing.cost(Usage(1, 1, 1), 0) is pricing.most(1, 1, 0) is None
    assert nano_usd(None) == 0


@pytest.mark.parametrize(("amount", "nano"), [("0.0004079", 407_900), ("0.0000000001", 1), ("12", 12_000_000_000)])
def test_limits_count_in_whole_nanodollars_rounded_up(amount: str, nano: int) -> None:
    assert nano_usd(Decimal(amount)) == nano


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("OK", 3), ("four", 3), ("fives", 4), ("好好好好", 5)])
def test_the_rule(text: str, tokens: int) -> None:
    assert estimated_tokens(text) == tokens
    assert estimated_tokens("\ud800") == 3


def visible_text(message: dict[str, Any]) -> str:
    parts = [message.get(name) for name in ("content", "reasoning_content", "reasoning")]
    return "".join(part for part in parts if isinstance(part, str))


def counted_replies() -> Iterator[tuple[dict[str, Any], Usage]]:
    """Recorded replies all of whose text can be seen."""
    for line in REPLIES.read_text(encoding="utf-8").splitlines():
        body = json.loads(line)["body"]
        if isinstance(body, dict) and body.get("choices"):
            message, usage = body["choices"][0]["message"], read_usage(body)
            is_hidden = usage.reasoning_tokens and visible_text(message) == (message.get("content") or "")
            if usage.completion_tokens and not is_hidden:
                yield message, usage


def test_of_prose_it_is_a_little_too_many_rather_than_too_few() -> None:
    ratios = [
        estimated_tokens(visible_text(message)) / (usage.completion_tokens or 1)
        for message, usage in counted_replies()
        if (usage.completion_tokens or 0) >= 80 and not message.get("tool_calls")
    ]
    assert len(ratios) >= 5
    assert 1.0 < statistics.median(ratios) < 1.2


def test_of_replies_that_are_mostly_json_it_is_too_few() -> None:
    ratios = [
        estimated_tokens("".join(call["function"]["name"] + call["function"]["arguments"] for call in calls))
        / (usage.completion_tokens or 1)
        for message, usage in counted_replies()
        if (calls := message.get("tool_calls")) and not visible_text(message)
    ]
    assert len(ratios) >= 5
    assert 0.4 < statistics.median(ratios) < 1.0
