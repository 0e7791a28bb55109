"""Calls that an earlier reply may have brought about do not stand beside the pair that it is of."""

from __future__ import annotations

from collections import Counter

from stillroom.probe.dependence import independent
from stillroom.probe.exclusions import Reason
from stillroom.store.siblings import Opening, Pair, messages_json, question_id_of

TEMPLATE = "Please reason step by step, and put your final answer within a box."
REPLY = "There are three dogs, and each of them has four legs, which makes twelve legs in all."


def call(at: int, question: str, first: str, second: str, account: str = "acct_1") -> tuple[int, Pair, Opening]:
    messages = [{"role": "user", "content": question}]
    pair = Pair(f"call-{at:03d}", question_id_of(messages), messages_json(messages), first, second)
    return at, pair, Opening(pair.pair_id, account, at, 0)


def kept(*calls: tuple[int, Pair, Opening]) -> tuple[list[str], Counter[Reason]]:
    left_out: Counter[Reason] = Counter()
    pairs = independent(calls, left_out)
    assert len(pairs) + left_out.total() == len(calls)
    return [pair.pair_id for pair, _ in pairs], left_out


def test_of_a_question_asked_again_the_first_call_is_kept() -> None:
    calls = [call(2, "How many?", "a", "b"), call(1, "How many?", "c", "d"), call(3, "How many?", "e", "f", "acct_2")]
    assert kept(*calls) == (["call-001", "call-003"], Counter({"asked_again": 1}))


def test_other_blanks_make_no_other_question() -> None:
    calls = [call(number, text, "a", "b") for number, text in enumerate(("How many?", "How  many? ", "\nHow\tmany?"))]
    assert kept(*calls, call(3, "Howmany?", "a", "b")) == (["call-000", "call-003"], Counter({"asked_again": 2}))


def test_a_request_that_quotes_either_reply_is_left_out() -> None:
    for replies in ((REPLY, "Twelve."), ("Twelve.", REPLY)):
        first = call(1, "How many legs have three dogs?", *replies)
        for question in (
            f"Is this right? {REPLY}",
            f"Grade the answer: «{REPLY}»",
            f"Go on.\n\n{REPLY.upper()}\n{REPLY}",
        ):
            assert kept(first, call(2, question, "a", "b", "acct_2")) == (["call-001"], Counter({"quotes_a_reply": 1}))


def test_what_stood_in_the_request_itself_is_no_quotation() -> None:
    """Of a template of requests that the model repeats, and of a reply to a later call."""
    calls = [
        call(number, f"{TEMPLATE} How many legs have {number} dogs?", f"{TEMPLATE} It is {number}.", "x")
        for number in range(5)
    ]
    assert len(kept(*calls)[0]) == 5
    assert len(kept(call(1, f"Say: {REPLY}", "a", "b"), call(2, "How many?", REPLY, "c"))[0]) == 2


def test_short_passages_are_in_many_texts_by_chance() -> None:
    calls = [call(1, "How many?", "The answer is 12.", "b"), call(2, "Why? The answer is 12.", "c", "d")]
    assert len(kept(*calls)[0]) == 2
