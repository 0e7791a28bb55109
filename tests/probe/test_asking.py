"""Asking a suspect over HTTP: paid once, resumed, and every sample accounted for."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import BudgetReached, DataError, StoreError, TeacherError, UsageError
from stillroom.client.budget import BudgetLimits
from stillroom.client.pacing import PaceLimits
from stillroom.client.settings import Endpoint, Price, Sampling
from stillroom.probe.asked import read_asked
from stillroom.probe.asking import ANSWERS, AskingSettings, ask_suspect, questions_of
from stillroom.store.siblings import Answer, Pair, messages_json, question_id_of, read_rows
from stillroom.testing import MisbehavingTeacher
from stillroom.testing.answer import Answer as Said
from stillroom.testing.faults import content_filtered, http_error, reset

SAMPLING = Sampling(temperature=1.0, max_tokens=64, seed=7)
ONE_AT_A_TIME = AskingSettings(pace=PaceLimits(concurrency=1), retries=0)


def questions(count: int) -> dict[str, str]:
    asked = [[{"role": "user", "content": f"What is {number} + {number}?"}] for number in range(count)]
    return {question_id_of(messages): messages_json(messages) for messages in asked}


def endpoint(teacher: MisbehavingTeacher, **settings: Any) -> Endpoint:
    return Endpoint(model="teacher", base_url=teacher.base_url, **{"price": "none", **settings})


def test_every_sample_has_an_answer_and_none_is_paid_for_twice(tmp_path: Path) -> None:
    asked = questions(5)
    with MisbehavingTeacher() as teacher:
        first = ask_suspect(asked, endpoint(teacher), tmp_path, samples=3, sampling=SAMPLING, plan=None, by="Olga")
        calls = teacher.requests
        again = ask_suspect(asked, endpoint(teacher), tmp_path, samples=3, sampling=SAMPLING, by="Olga")
        assert teacher.requests == calls == 15
        seeds = {(body["messages"][0]["content"], body["seed"]) for body in teacher.bodies}
    assert first == again == read_rows(tmp_path / ANSWERS, Answer)
    assert [(each.question_id, each.sample) for each in first] == [(q, n) for q in asked for n in range(3)]
    assert seeds == {(f"What is {number} + {number}?", 7 + n) for number in range(5) for n in range(3)}
    assert all(each.text and each.finish_reason == "stop" and each.asked_at for each in first)
    told = read_asked(tmp_path)
    assert (told.by, told.model, told.address) == ("Olga", "teacher", teacher.base_url)
    assert (told.samples, told.questions, told.by_status, told.is_whole) == (3, 5, {"ok": 15}, True)
    times = [each.asked_at for each in first if each.asked_at]
    assert (told.first_at, told.last_at) == (min(times), max(times))


def test_what_failed_was_refused_or_cut_is_kept_with_its_reason(tmp_path: Path) -> None:
    asked = questions(4)
    texts = [f"What is {number} + {number}?" for number in range(4)]
    faults = {texts[0]: [http_error(500)], texts[1]: [content_filtered()]}
    said = {texts[2]: Said("word " * 200), texts[3]: Said("It is 6.", "3 + 3")}
    with MisbehavingTeacher(lambda text: said.get(text, Said("4")), faults_by_question=faults) as teacher:
        rows = ask_suspect(asked, endpoint(teacher), tmp_path, samples=1, sampling=SAMPLING, settings=ONE_AT_A_TIME)
    failed, refused, cut, thought = rows
    assert (failed.text, failed.finish_reason) == ("", "failed: http_500")
    assert refused.finish_reason == "refused: content_filter"
    assert (cut.text.split()[0], cut.finish_reason) == ("word", "length")
    assert thought.text == "<think>\n3 + 3\n</think>\n\nIt is 6."
    assert read_asked(tmp_path).by_status == {"failed": 1, "ok": 1, "refused": 1, "truncated": 1}


def test_a_limit_stops_it_with_what_came_and_the_same_call_goes_on(tmp_path: Path) -> None:
    asked = questions(6)
    priced = {"price": Price(input_per_million=Decimal(1), output_per_million=Decimal(1))}
    few = AskingSettings(pace=PaceLimits(concurrency=1), limits=BudgetLimits(max_calls=4))
    with MisbehavingTeacher() as teacher:
        with pytest.raises(BudgetReached):
            ask_suspect(asked, endpoint(teacher, **priced), tmp_path, samples=1, sampling=SAMPLING, settings=few)
        assert len(read_rows(tmp_path / ANSWERS, Answer)) == 4
        assert not read_asked(tmp_path).is_whole
        rows = ask_suspect(asked, endpoint(teacher, **priced), tmp_path, samples=1, sampling=SAMPLING)
        assert teacher.requests == 6
    assert len(rows) == 6
    told = read_asked(tmp_path)
    assert told.is_whole
    assert Decimal(told.spent_usd or "0") > 0


def test_other_sampling_or_another_model_is_asked_anew(tmp_path: Path) -> None:
    asked = questions(2)
    with MisbehavingTeacher(models=["teacher", "other"]) as teacher:
        ask_suspect(asked, endpoint(teacher), tmp_path, samples=1, sampling=SAMPLING)
        ask_suspect(asked, endpoint(teacher), tmp_path, samples=1, sampling=SAMPLING.model_copy(update={"seed": 8}))
        other = endpoint(teacher).model_copy(update={"model": "other"})
        ask_suspect(asked, other, tmp_path, samples=1, sampling=SAMPLING)
        assert teacher.requests == 6
    assert read_asked(tmp_path).model == "other"


def test_a_suspect_that_hangs_up_once_is_asked_again(tmp_path: Path) -> None:
    with MisbehavingTeacher(faults=[reset()]) as teacher:
        (row,) = ask_suspect(questions(1), endpoint(teacher), tmp_path, samples=1, sampling=SAMPLING)
        assert teacher.requests == 2
    assert row.finish_reason == "stop"


def test_one_that_answers_nobody_is_an_error(tmp_path: Path) -> None:
    with MisbehavingTeacher(api_key="secret") as teacher, pytest.raises(TeacherError):
        ask_suspect(questions(1), endpoint(teacher), tmp_path, samples=1, sampling=SAMPLING)
    assert read_rows(tmp_path / ANSWERS, Answer) == []


@pytest.mark.parametrize(
    "messages",
    ["no JSON", "{}", "[]", '["a"]', '[{"role": "user"}]', '[{"role": "user", "content": [{"type": "text"}]}]'],
)
def test_a_question_that_is_none_is_named(tmp_path: Path, messages: str) -> None:
    nobody = Endpoint(model="teacher", base_url="http://127.0.0.1:9/v1", price="none")
    with pytest.raises(DataError, match="question q7"):
        ask_suspect({"q7": messages}, nobody, tmp_path, samples=1, sampling=SAMPLING)


def test_a_budget_without_a_limit_of_tokens_is_refused_before_anything_is_asked(tmp_path: Path) -> None:
    nobody = Endpoint(model="teacher", base_url="http://127.0.0.1:9/v1", price="none")
    settings = AskingSettings(limits=BudgetLimits(budget_usd=Decimal(1)))
    with pytest.raises(UsageError, match="token limit"):
        ask_suspect(questions(1), nobody, tmp_path, samples=1, sampling=Sampling(), settings=settings)


def test_two_askers_in_one_folder_are_told_so(tmp_path: Path) -> None:
    from stillroom.probe.asking import JOURNAL
    from stillroom.store.journal import Journal

    with MisbehavingTeacher() as teacher, Journal(tmp_path / JOURNAL), pytest.raises(StoreError, match=JOURNAL):
        ask_suspect(questions(1), endpoint(teacher), tmp_path, samples=1, sampling=SAMPLING)


def test_the_questions_of_pairs_are_each_asked_once() -> None:
    messages = [{"role": "user", "content": "a"}]
    pairs = [Pair(f"p{n}", question_id_of(messages), messages_json(messages), "x", "y") for n in range(2)]
    assert questions_of(pairs) == {question_id_of(messages): messages_json(messages)}


@pytest.mark.parametrize("text", ["[]", "{}", '{"schema_version": 1, "model": 7}', "\x00"])
def test_a_file_that_is_no_asked_json_is_said(tmp_path: Path, text: str) -> None:
    with pytest.raises(DataError, match=r"asked\.json"):
        read_asked(tmp_path)
    (tmp_path / "asked.json").write_text(text)
    with pytest.raises(DataError, match=r"asked\.json"):
        read_asked(tmp_path)
