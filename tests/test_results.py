"""What a stage did, in sentences."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stillroom.results import asked_in_words, checked_in_words, estimate_in_words, swept_in_words, trained_in_words
from stillroom.text.counted import counted, listed

PAGE = (Path(__file__).parents[1] / "docs" / "ask.md").read_text(encoding="utf-8")

ASKED: dict[str, Any] = {
    "asked": 40, "samples": 2, "is_whole": True, "replies": 80, "shared": 2, "prompt_tokens": 2120,
    "completion_tokens": 25310, "reasoning_tokens": 21000, "cached_tokens": None, "price_id": "recipe:8c1f09a2b3d4",
    "served_models": ["some-model-0711"], "calls": 46, "unknown_calls": 1, "cost_usd": "0.0566", "unknown_usd": "0.02",
    "spent_usd": "0.0766", "by_status": {"failed": 1, "ok": 77, "truncated": 2}, "seconds": 9.1,
    "teacher": "some-model", "base_url": "https://teacher.example/v1",
}  # fmt: skip
FREE = {"cost_usd": None, "unknown_usd": "0", "spent_usd": "0", "price_id": None, "unknown_calls": 0}


def test_the_page_shows_what_asking_says() -> None:
    assert f"```\n{asked_in_words(ASKED)}\n" in PAGE


def test_what_is_not_known_or_not_there_is_not_spoken_of() -> None:
    no_counts = {"prompt_tokens": None, "completion_tokens": None, "reasoning_tokens": None}
    one = {"asked": 1, "samples": 1, "replies": 1, "shared": 0, "calls": 1, "by_status": {"ok": 1}}
    served = {"served_models": ["some-model"]}
    assert asked_in_words(ASKED | FREE | no_counts | one | served) == (
        "1 question: 1 reply, which is whole.\n1 call was made, earlier runs included."
    )
    lost = asked_in_words(ASKED | FREE | no_counts | one | served | {"unknown_calls": 1, "by_status": {"failed": 1}})
    assert lost == (
        "1 question: 1 reply, which failed.\n1 call was made, earlier runs included; the outcome of 1 is unknown."
    )


def test_a_price_of_the_list_is_named() -> None:
    listed_price = {"price_id": "genai-prices 0.0.25: deepseek/deepseek-chat"}
    assert "USD (by the price of genai-prices 0.0.25: deepseek/deepseek-chat); " in asked_in_words(ASKED | listed_price)


def test_all_of_one_kind() -> None:
    cut = asked_in_words(ASKED | {"by_status": {"truncated": 80}})
    assert cut.startswith("40 questions, 2 samples each: 80 replies, all of which were cut by the token limit.")
    assert asked_in_words(ASKED | {"replies": 0, "by_status": {}}).startswith(
        "40 questions, up to 2 samples each: 0 repl"
    )


def test_until_enough_is_right_there_may_be_fewer() -> None:
    assert asked_in_words(ASKED | {"replies": 71}).startswith("40 questions, up to 2 samples each: 71 replies")


def test_a_status_of_a_later_version_has_its_own_name() -> None:
    assert "70 are whole and 10 paused." in asked_in_words(ASKED | {"by_status": {"ok": 70, "paused": 10}})


def test_the_check_names_the_most_frequent_reason_first() -> None:
    facts = {"rows": 1200, "kept": 1100, "rejected": {"wrong": 10, "broken_think_block": 90}}
    assert checked_in_words(facts) == (
        "1,200 replies were judged: 1,100 kept, 100 rejected (broken think block 90, wrong 10)."
    )
    assert checked_in_words({"rows": 1, "kept": 1, "rejected": {}}) == "1 reply was judged: 1 kept, 0 rejected."


def test_training_says_what_was_left_out() -> None:
    facts: dict[str, Any] = {
        "student": "classroom", "parameters": 1418720, "traces": 2877, "skipped": {"too_long": 1}, "epochs": 4,
        "steps": 540, "seconds": 142.3,
    }  # fmt: skip
    assert trained_in_words("answers_only", facts) == (
        "classroom (1,418,720 parameters) was trained on the answers alone of 2,877 traces:"
        " 540 steps in 4 epochs, 2:22.\n1 trace was left out (too long 1)."
    )


SWEPT: dict[str, Any] = {
    "traces": 480, "share": 0.2, "best": 4e-4, "at_the_end": "highest", "as_good": [2e-4],
    "rates": [
        {"learning_rate": 1e-4, "problem": None, "steps": 60, "loss": 1.2, "held_out_loss": 1.3, "right": 20,
         "asked": 90, "low": 0.149, "high": 0.318, "seconds": 61.0},
        {"learning_rate": 2e-4, "problem": None, "steps": 60, "loss": 0.91, "held_out_loss": 1.1, "right": 41,
         "asked": 90, "low": 0.356, "high": 0.558, "seconds": 60.0},
        {"learning_rate": 4e-4, "problem": None, "steps": 60, "loss": 0.8, "held_out_loss": 1.2, "right": 43,
         "asked": 90, "low": 0.377, "high": 0.58, "seconds": 61.0},
    ],
}  # fmt: skip


def test_a_sweep_says_which_rate_is_best_and_how_sure_that_is() -> None:
    assert swept_in_words(SWEPT) == (
        "Each rate was tried on 480 traces (20% of the questions); 3:02 in all.\n"
        "     rate  steps     loss  held-out loss                   right  seconds\n"
        "   0.0001     60    1.200          1.300   20 of 90 (15% to 32%)       61\n"
        "   0.0002     60    0.910          1.100   41 of 90 (36% to 56%)       60\n"
        "   0.0004     60    0.800          1.200   43 of 90 (38% to 58%)       61\n"
        "The best is 0.0004. In the recipe, below train: learning_rate: 0.0004\n"
        "It is the highest that was tried: one beyond it may be better still. --set train.learning_rate=0.0016 tries"
        " those around there.\n"
        "0.0002 is as good as far as 90 questions can tell: the intervals of their right answers meet.\n"
        "Every rate was tried with one seed."
    )


def test_the_page_shows_what_a_sweep_says() -> None:
    page = (Path(__file__).parents[1] / "docs" / "train.md").read_text(encoding="utf-8")
    assert swept_in_words(SWEPT) in page


def test_a_sweep_without_right_answers_or_without_any_rate() -> None:
    rows = [row | {"right": 0, "asked": 0, "low": None, "high": None} for row in SWEPT["rates"]]
    unverified = swept_in_words(SWEPT | {"rates": rows, "at_the_end": None, "as_good": []})
    assert "          1.100                       -       60" in unverified
    assert unverified.endswith("the loss decided, and what another seed would change is not known.")
    nothing = dict.fromkeys(SWEPT["rates"][0])
    wild = [nothing | {"learning_rate": 100.0, "problem": "The loss of step 2 is nan: training has diverged."}]
    diverged = swept_in_words(SWEPT | {"rates": wild, "best": None, "at_the_end": None, "as_good": []})
    assert "      100  The loss of step 2 is nan: training has diverged.\n" in diverged
    assert diverged.endswith("Set a much lower train.learning_rate, and try again.")


ESTIMATE: dict[str, Any] = {
    "asked": 12, "left": 988, "samples": [2, 4], "completion_tokens": 310.4, "truncated": 1, "seconds_per_reply": 2.0,
    "cost_usd": {"each": "0.001", "expected": "1.4", "low": "0.9", "high": "2.1", "at_most": "8"},
    "seconds": {"low": 59, "high": 3599}, "spent_usd": "0.02", "budget_usd": "2",
}  # fmt: skip


def test_an_estimate() -> None:
    assert estimate_in_words(ESTIMATE).splitlines() == [
        "12 questions were asked, and the replies are kept. 0.02 USD are spent. 988 are left, 2 to 4 samples each.",
        "The rest will cost about 1.4 USD (0.9 to 2.1).",
        "Were every reply as long as max_tokens: 8 USD.",
        "The budget leaves 1.98 USD, which may not be enough: the run would stop.",
        "It will take 1:00 to 1:00:00, if the teacher keeps up.",
        "A reply has 310 tokens on average; 1 was cut by the limit.",
    ]


@pytest.mark.parametrize(
    ("asked", "left", "said"), [(1, 0, "Nothing is left to ask."), (1, 1, "1 is left, 1 sample each.")]
)
def test_an_estimate_of_few(asked: int, left: int, said: str) -> None:
    facts = ESTIMATE | {"asked": asked, "left": left, "samples": [1, 1], "cost_usd": None}
    assert estimate_in_words(facts).splitlines()[0] == f"1 question was asked, and the replies are kept. {said}"


def test_numbers_and_lists() -> None:
    assert [counted(n, "call") for n in (0, 1, 1234)] == ["0 calls", "1 call", "1,234 calls"]
    assert counted(2, "reply", "replies") == "2 replies"
    assert [listed(parts) for parts in (["a"], ["a", "b"], ["a", "b", "c"])] == ["a", "a and b", "a, b and c"]
