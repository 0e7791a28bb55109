"""Asking more than once: until enough is right, again with a larger limit, and first a few to see what it costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.ask.estimate import estimate
from stillroom.ask.run import ask
from stillroom.ask.settings import AskSettings, TeacherSettings
from stillroom.base.errors import BudgetReached, KeyRefused, RecipeError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Question
from stillroom.store.files import read_json
from stillroom.store.journal import Journal
from stillroom.store.tables import read_rows, write_questions
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing import faults as f

PRICE = {"input_per_million": 1, "output_per_million": 10}


def write(folder: Path, texts: Sequence[str], answer: str | None = "4") -> None:
    kind = "none" if answer is None else "number"
    write_questions(
        folder / "questions.parquet",
        [
            Question(id=text, messages=(Message(role="user", content=text),), source="test", answer=answer, kind=kind)  # type: ignore[arg-type]
            for text in texts
        ],
    )


def settings_of(teacher: MisbehavingTeacher, **changes: Any) -> TeacherSettings:
    return TeacherSettings(**{"model": "teacher", "base_url": teacher.base_url, "price": PRICE} | changes)


def is_right(question: Question, answer: str) -> bool:
    return answer == question.answer


def samples_of(folder: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in read_rows(folder / "replies.parquet", ["question_id", "answer"]):
        found.setdefault(row["question_id"], []).append(row["answer"])
    return found


def test_each_question_is_asked_until_enough_replies_are_right(tmp_path: Path) -> None:
    write(tmp_path, ["easy", "hard", "never"])
    answers = {
        "easy": [Answer("4")] * 9,
        "hard": [Answer(text) for text in ("1", "4", "2", "4", "4", "4", "4", "4")],
        "never": [Answer(str(number)) for number in range(10, 20)],
    }
    given = Counter[str]()

    def answer(question: str) -> Answer:
        given[question] += 1
        return answers[question][given[question] - 1]

    ask_settings = AskSettings(stop_after_right=2, max=6, temperature=1)
    with MisbehavingTeacher(answer, rules=[]) as teacher:
        facts = ask(tmp_path, settings_of(teacher), ask_settings, is_right=is_right)
        # How a call's samples are divided is the engine's matter; what counts is which samples there are.
        assert facts["is_whole"]
    found = samples_of(tmp_path)
    assert found["easy"] == ["4", "4"]
    assert found["hard"] == ["1", "4", "2", "4"] or found["hard"].count("4") >= 2
    assert len(found["never"]) == 6
    with MisbehavingTeacher(answer) as again:
        ask(tmp_path, settings_of(again), ask_settings, is_right=is_right)
        assert again.requests == 0
    assert samples_of(tmp_path) == found


def test_it_goes_on_where_it_was_stopped(tmp_path: Path) -> None:
    write(tmp_path, [f"q{number}" for number in range(30)])
    wrong = AskSettings(stop_after_right=1, max=4, max_calls=50)
    with MisbehavingTeacher(lambda _: Answer("5")) as teacher:
        with pytest.raises(BudgetReached, match="max_calls: 50"):
            ask(tmp_path, settings_of(teacher), wrong, is_right=is_right)
        assert teacher.requests == 50
        assert read_json(tmp_path / "ask.json")["is_whole"] is False
        ask(tmp_path, settings_of(teacher), wrong.model_copy(update={"max_calls": None}), is_right=is_right)
        assert teacher.requests == 120
    assert {len(samples) for samples in samples_of(tmp_path).values()} == {4}


def test_what_nobody_can_judge_is_asked_as_often_as_is_wanted(tmp_path: Path) -> None:
    write(tmp_path, ["tell me"], answer=None)
    with MisbehavingTeacher() as teacher:
        ask(tmp_path, settings_of(teacher), AskSettings(stop_after_right=2, max=9), is_right=is_right)
    assert len(samples_of(tmp_path)["tell me"]) == 2


@pytest.mark.parametrize(
    ("settings", "what"),
    [({"max": 3}, "max goes with stop_after_right"), ({"samples": 2, "stop_after_right": 3}, "larger than the most")],
)
def test_settings_that_contradict_each_other(settings: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        AskSettings(**settings)


def test_cut_replies_are_asked_again_with_larger_limits(tmp_path: Path) -> None:
    lengths = {"short": 3, "long": 30, "longer": 90, "endless": 5000}
    write(tmp_path, list(lengths))
    settings = AskSettings(max_tokens=10)
    with MisbehavingTeacher(lambda question: Answer(" ".join(["so"] * lengths[question]))) as teacher:
        first = ask(tmp_path, settings_of(teacher), settings)
        assert first["by_status"] == {"ok": 1, "truncated": 3}
        again = ask(tmp_path, settings_of(teacher), settings, again="truncated", longer_limits=(5, 40, 200))
        assert again["by_status"] == {"ok": 3, "truncated": 1}
        assert [body["max_tokens"] for body in teacher.bodies] == [10] * 4 + [40] * 3 + [200] * 2
        # They are longer than the recipe's limit, and paid for: they stay.
        assert ask(tmp_path, settings_of(teacher), settings)["calls"] == 9
        assert ask(tmp_path, settings_of(teacher), settings, again="truncated", longer_limits=(200,))["calls"] == 9


def test_failed_replies_are_asked_again_when_told_to(tmp_path: Path) -> None:
    write(tmp_path, ["a", "b", "c"])
    faults = {"b": [f.http_error(400)], "c": [f.content_filtered()]}
    with MisbehavingTeacher(faults_by_question=faults) as teacher:
        assert ask(tmp_path, settings_of(teacher), AskSettings())["by_status"] == {"failed": 1, "ok": 1, "refused": 1}
        assert ask(tmp_path, settings_of(teacher), AskSettings())["calls"] == 3
        assert ask(tmp_path, settings_of(teacher), AskSettings(), again="failed")["calls"] == 4
        assert ask(tmp_path, settings_of(teacher), AskSettings(), again="refused")["by_status"] == {"ok": 3}


def test_what_still_fails_is_asked_again_once(tmp_path: Path) -> None:
    write(tmp_path, ["passing", "lasting", "good"])
    faults = {"passing": [f.internal_error()] * 2, "lasting": [f.http_error(400)] * 5}
    with MisbehavingTeacher(faults_by_question=faults) as teacher:
        settings = AskSettings(retries=0)
        assert ask(tmp_path, settings_of(teacher), settings)["by_status"] == {"failed": 2, "ok": 1}
        heard = Heard()
        again = ask(tmp_path, settings_of(teacher), settings, heard, again="failed")
        assert again["by_status"] == {"failed": 2, "ok": 1}
        assert teacher.by_question == {"passing": 2, "lasting": 2, "good": 1}
        assert ask(tmp_path, settings_of(teacher), settings, again="failed")["by_status"] == {"failed": 1, "ok": 2}
        assert teacher.by_question == {"passing": 3, "lasting": 3, "good": 1}


def test_what_a_kill_left_of_a_table_is_cleared_away(tmp_path: Path) -> None:
    write(tmp_path, ["a"])
    for name in (".replies.parquet.x1_.part", ".attempts.parquet.x1_.part", ".ask.json.x1_.part"):
        (tmp_path / name).write_bytes(b"half")
    with MisbehavingTeacher() as teacher:
        ask(tmp_path, settings_of(teacher), AskSettings())
    assert not list(tmp_path.glob(".*.part"))


def test_an_estimate_knows_a_limit_by_whichever_name(tmp_path: Path) -> None:
    write(tmp_path, [f"question number {number}" for number in range(20)])
    with MisbehavingTeacher(lambda _: Answer("four", completion_tokens=100)) as teacher:
        longer = settings_of(teacher, extra_body={"max_completion_tokens": 5000})
        cost = estimate(tmp_path, longer, AskSettings(max_tokens=400))["cost_usd"]
        assert Decimal(cost["at_most"]) >= 8 * 5000 * Decimal("0.00001")
        limited = AskSettings(max_tokens=400, budget_usd=Decimal("0.05"))
        with pytest.raises(BudgetReached):  # a call may cost 0.05 and something for its prompt
            ask(tmp_path, longer, limited)
        assert teacher.requests == 12


def test_an_estimate_asks_a_few_and_keeps_their_replies(tmp_path: Path) -> None:
    write(tmp_path, [f"question number {number}" for number in range(200)])
    with MisbehavingTeacher(lambda _: Answer("four", completion_tokens=100), delay_s=(0.01, 0.02)) as teacher:
        facts = estimate(tmp_path, settings_of(teacher), AskSettings(max_tokens=400))
        assert teacher.requests == facts["asked"] == 12
        cost = {name: Decimal(value) for name, value in facts["cost_usd"].items()}
        each = Decimal("0.001003")  # 3 prompt tokens and 100 of the reply
        assert cost["each"] == Decimal("0.001")
        assert cost["low"] <= cost["expected"] <= cost["high"] <= cost["at_most"]
        assert abs(cost["expected"] - 188 * each) < Decimal("0.001")
        assert facts["left"] == 188
        assert 0 < facts["seconds"]["low"] <= facts["seconds"]["high"]
        assert (facts["spent_usd"], facts["budget_usd"]) == ("0.012036", None)
        assert ask(tmp_path, settings_of(teacher), AskSettings(max_tokens=400))["calls"] == 200
        finished = estimate(tmp_path, settings_of(teacher), AskSettings(max_tokens=400, budget_usd=Decimal(9)))
        assert (finished["left"], finished["budget_usd"], teacher.requests) == (0, "9", 200)


def test_an_estimate_of_what_costs_nothing(tmp_path: Path) -> None:
    write(tmp_path, ["a", "b"])
    with MisbehavingTeacher() as teacher:
        facts = estimate(tmp_path, settings_of(teacher, price="none"), AskSettings(stop_after_right=1, max=3))
    assert (facts["cost_usd"], facts["left"], facts["samples"]) == (None, 0, [1, 3])


def test_the_teachers_prompt_is_sent_and_is_part_of_the_key(tmp_path: Path) -> None:
    write(tmp_path, ["2 + 2?"])
    prompt = {"system": "Be brief.", "examples": [{"question": "1 + 1?", "answer": "2", "reasoning": "One more."}]}
    with MisbehavingTeacher() as teacher:
        ask(tmp_path, settings_of(teacher), AskSettings())
        ask(tmp_path, settings_of(teacher), AskSettings.model_validate(prompt))
        assert [[message["content"] for message in body["messages"]] for body in teacher.bodies] == [
            ["2 + 2?"],
            ["Be brief.", "1 + 1?", "One more.\n\n2", "2 + 2?"],
        ]


def test_a_stream_is_kept_as_it_came(tmp_path: Path) -> None:
    write(tmp_path, [f"q{number}" for number in range(20)])
    with MisbehavingTeacher(lambda question: Answer(f"that is {question}", "so it is")) as teacher:
        facts = ask(tmp_path, settings_of(teacher, stream=True), AskSettings())
        assert facts["cost_usd"] == "0.00122"  # the usage came in the last chunk
    rows = list(read_rows(tmp_path / "replies.parquet"))
    assert [(row["answer"], row["reasoning"]) for row in rows] == [(f"that is q{n}", "so it is") for n in range(20)]
    with Journal(tmp_path / "ask.sqlite") as journal:
        assert all(reply.raw.startswith(b"data:") for reply in journal.replies())


def test_replicas_share_the_work_and_one_may_die(tmp_path: Path) -> None:
    write(tmp_path, [f"q{number}" for number in range(300)])
    said: list[str] = []

    class Heard:
        def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
            pass

        def say(self, sentence: str) -> None:
            said.append(sentence)

    with MisbehavingTeacher(delay_s=(0.002, 0.01)) as one, MisbehavingTeacher(delay_s=(0.002, 0.01)) as other:
        dead = MisbehavingTeacher(faults=[None] * 20, always=f.key_refused())
        with dead:
            where = settings_of(one, replicas=(other.base_url, dead.base_url))
            facts = ask(tmp_path, where, AskSettings(concurrency=8), Heard())
        assert facts["by_status"] == {"ok": 300}
        assert min(one.requests, other.requests) > 30
        assert dead.requests <= 20 + 8
    assert any("is left out" in sentence for sentence in said)


def test_two_questions_with_one_text_are_asked_as_often_as_one(tmp_path: Path) -> None:
    message = (Message(role="user", content="2 + 2?"),)
    write_questions(
        tmp_path / "questions.parquet",
        [Question(id=f"q{n}", messages=message, source="test", answer="4", kind="number") for n in range(2)],
    )
    with MisbehavingTeacher(lambda _: Answer("4"), delay_s=(0.05, 0.1)) as teacher:
        ask(tmp_path, settings_of(teacher), AskSettings(stop_after_right=2, max=8), is_right=is_right)
        assert teacher.requests <= 2
    assert samples_of(tmp_path) == {"q0": ["4", "4"], "q1": ["4", "4"]}


def test_a_streamed_text_may_speak_of_its_own_end(tmp_path: Path) -> None:
    write(tmp_path, ["how does a stream end?"])
    with MisbehavingTeacher(lambda _: Answer("it ends with [DONE] and then some more words")) as teacher:
        ask(tmp_path, settings_of(teacher, stream=True), AskSettings())
        assert teacher.requests == 1
    assert samples_of(tmp_path)["how does a stream end?"] == ["it ends with [DONE] and then some more words"]


def test_a_call_that_could_never_be_sent_is_an_error(tmp_path: Path) -> None:
    write(tmp_path, ["a"])
    with MisbehavingTeacher() as teacher, pytest.raises(RecipeError, match="more than tokens_per_minute"):
        ask(tmp_path, settings_of(teacher), AskSettings(tokens_per_minute=100))


def test_what_a_server_says_of_itself_cannot_control_the_terminal(tmp_path: Path) -> None:
    write(tmp_path, ["a"])
    evil = f.raw_body(b'{"error": {"message": "\\u001b[2Jgone"}}', 401)
    with MisbehavingTeacher(always=evil) as teacher, pytest.raises(KeyRefused) as caught:
        ask(tmp_path, settings_of(teacher), AskSettings())
    assert "\x1b" not in str(caught.value)
    assert "gone" in str(caught.value)


class Heard(Silent):
    """What a person would have been shown."""

    def __init__(self) -> None:
        self.updates: list[tuple[int, int | None, dict[str, Any]]] = []
        self.said: list[str] = []

    def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:  # noqa: ARG002
        self.updates.append((done, total, facts))

    def say(self, sentence: str) -> None:
        self.said.append(sentence)

    @property
    def done(self) -> list[int]:
        return [done for done, _, _ in self.updates]


TWICE = [*(f"q{number}" for number in range(20)), "q3"]
"""Questions, of which two have the same text."""


@pytest.mark.parametrize(
    ("settings", "total"), [({"samples": 2}, 42), ({"stop_after_right": 1, "max": 2}, 42)], ids=["samples", "until"]
)
def test_a_run_that_goes_on_begins_with_what_is_done(tmp_path: Path, settings: dict[str, Any], total: int) -> None:
    questions = [
        Question(id=str(row), messages=(Message(role="user", content=text),), source="test", answer="4", kind="number")
        for row, text in enumerate(TWICE)
    ]
    write_questions(tmp_path / "questions.parquet", questions)
    with MisbehavingTeacher(lambda _: Answer("4", completion_tokens=1)) as teacher:
        fewer = AskSettings(**settings, max_calls=9, concurrency=2, temperature=1)
        first, second, third = Heard(), Heard(), Heard()
        with pytest.raises(BudgetReached) as stopped:
            ask(tmp_path, settings_of(teacher), fewer, first, is_right=is_right)
        assert first.updates[0] == (0, total, {**first.updates[0][2], "replies": 0})
        so_far = first.done[-1]
        assert f"{total - so_far} of {total} samples are left to ask." in str(stopped.value.__notes__)

        ask(tmp_path, settings_of(teacher), fewer.model_copy(update={"max_calls": None}), second, is_right=is_right)
        begins, of, facts = second.updates[0]
        assert of == total
        assert so_far <= begins <= so_far + 2  # the two questions that share a reply are both done by now
        assert (facts["replies"], facts["cost_usd"]) == (0, 0)  # what was there is no speed
        assert facts["spent_usd"] > 0
        assert second.done == sorted(second.done)

        facts = ask(tmp_path, settings_of(teacher), fewer, third, is_right=is_right)
        assert set(third.done) == {second.done[-1]} == {facts["replies"]}
        assert teacher.requests == 20


def test_an_estimate_that_is_made_again_begins_with_what_is_done(tmp_path: Path) -> None:
    write(tmp_path, [f"q{number}" for number in range(30)])
    with MisbehavingTeacher() as teacher:
        estimate(tmp_path, settings_of(teacher), AskSettings())
        heard = Heard()
        estimate(tmp_path, settings_of(teacher), AskSettings(), heard)
        assert set(heard.done) == {12}
        assert teacher.requests == 12


def test_asking_again_says_how_many_it_will_be(tmp_path: Path) -> None:
    write(tmp_path, [f"q{number}" for number in range(30)])
    with MisbehavingTeacher(lambda _: Answer("one two three four five")) as teacher:
        ask(tmp_path, settings_of(teacher), AskSettings(max_tokens=3))
        heard = Heard()
        ask(tmp_path, settings_of(teacher), AskSettings(max_tokens=3), heard, again="truncated", longer_limits=[4, 9])
        passes = [(done, facts["replies"]) for done, _, facts in heard.updates if facts["replies"] in (0, 30)]
        assert passes[0] == (30, 0)  # what is there is passed over; then 30 are asked with 4 tokens, and with 9
        assert [total for _, total, _ in heard.updates] == [30] * len(heard.updates)
        assert passes.count((0, 0)) >= 2
        assert teacher.requests == 90
        heard = Heard()
        ask(tmp_path, settings_of(teacher), AskSettings(max_tokens=3), heard, again="truncated", longer_limits=[99])
        assert set(heard.done) == {30}  # nothing is cut any longer: there is no second pass
        assert heard.said == ["No reply was cut by a limit below these: nothing was asked again."]
        ask(tmp_path, settings_of(teacher), AskSettings(max_tokens=3), heard, again="empty")
        assert heard.said[1:] == ["No reply is empty: nothing was asked again."]
