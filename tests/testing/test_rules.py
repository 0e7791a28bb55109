"""Which requests meet a fault, by rule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from stillroom.testing.faults import internal_error, overloaded, rate_limited
from stillroom.testing.rules import Rule, RuleBook, draw

FAULT = internal_error()


def met(rules: list[Rule], questions: list[str], seed: int = 0) -> Iterator[str | None]:
    """The names of the faults that these requests meet, one after the other."""
    book = RuleBook(rules)
    attempts: Counter[str] = Counter()
    for question in questions:
        fault = book.fault_for(question, draw(seed, question, attempts[question])[0])
        attempts[question] += 1
        yield None if fault is None else fault.name


def numbers(rule: Rule, count: int = 12) -> list[int]:
    """Which of `count` requests meet the rule's fault, counted from 1."""
    return [number for number, name in enumerate(met([rule], ["q"] * count), 1) if name]


def test_counting() -> None:
    assert numbers(Rule(FAULT)) == list(range(1, 13))
    assert numbers(Rule(FAULT, first=3)) == [1, 2, 3]
    assert numbers(Rule(FAULT, after=9)) == [10, 11, 12]
    assert numbers(Rule(FAULT, every=5)) == [5, 10]
    assert numbers(Rule(FAULT, after=2, every=4)) == [6, 10]
    assert numbers(Rule(FAULT, after=2, first=5, every=2)) == [4, 6]


def test_a_rule_counts_the_requests_of_its_question() -> None:
    rules = [Rule(rate_limited(), question="b", first=2), Rule(overloaded(), every=3)]
    assert list(met(rules, ["a", "ab", "b", "b", "a", "a"])) == [
        None,
        "rate_limited",
        "rate_limited",  # the third request of the second rule as well: the first rule goes before
        None,
        None,
        "overloaded",
    ]


def test_shares_are_parts_of_one_whole() -> None:
    rules = [Rule(rate_limited(), share=0.2), Rule(overloaded(), share=0.3), Rule(internal_error(), share=0.5)]
    counted = Counter(met(rules, [f"q{number}" for number in range(20_000)]))
    assert counted[None] == 0
    assert counted["rate_limited"] == pytest.approx(4000, rel=0.06)
    assert counted["overloaded"] == pytest.approx(6000, rel=0.06)
    with pytest.raises(ValueError, match="more than 1 together"):
        RuleBook([*rules, Rule(FAULT, share=0.1)])


def test_a_share_of_what_comes_later() -> None:
    counted = list(met([Rule(FAULT, share=0.5, after=1000)], [f"q{number}" for number in range(2000)]))
    assert set(counted[:1000]) == {None}
    assert Counter(counted[1000:])["internal_error"] == pytest.approx(500, abs=60)


def test_a_share_of_questions_does_not_depend_on_their_order() -> None:
    rules = [Rule(rate_limited(), share=0.3), Rule(overloaded(), share=0.3)]
    questions = [f"q{number}" for number in range(300)]

    def by_question(asked: list[str], seed: int = 0) -> dict[str, list[str | None]]:
        found: dict[str, list[str | None]] = {}
        for question, name in zip(asked, met(rules, asked, seed), strict=True):
            found.setdefault(question, []).append(name)
        return found

    assert by_question(questions * 3) == by_question([*questions[::-1], *questions, *questions[::-1]])
    assert by_question(questions * 3) != by_question(questions * 3, seed=1)
    assert any(len(set(names)) > 1 for names in by_question(questions * 3).values())  # another attempt, another draw


def test_a_draw_is_less_than_one() -> None:
    drawn = [number for attempt in range(2000) for number in draw(0, "\ud800", attempt)]
    assert 0 <= min(drawn) < 0.01
    assert 0.99 < max(drawn) < 1
