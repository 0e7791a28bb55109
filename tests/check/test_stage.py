"""The whole stage, with all that it can be told to do besides verifying."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stillroom.ask.files import file_rows
from stillroom.base.errors import DataError, StoreError
from stillroom.base.records import Message, Question
from stillroom.check.reasons import MAY_BE_WRONG, REASONS
from stillroom.check.run import check
from stillroom.check.settings import CheckSettings
from stillroom.store.lock import FolderLock
from stillroom.store.schemas import REPLIES
from stillroom.store.tables import read_rows, write_questions, write_table
from stillroom.testing import Answer, MisbehavingTeacher

NUMBERS = ["three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen", "fourteen"]
KEEP_ALL = {"duplicates": "keep", "near_duplicates": "keep"}


def question(name: str, answer: str | None = "18", kind: Any = "number", **rest: Any) -> Question:
    text = rest.pop("text", f"How many pears are there in the basket that is called {name}?")
    return Question(
        id=name, messages=(Message(role="user", content=text),), answer=answer, kind=kind, source="own", **rest
    )


def reply(name: str, sample: int = 0, answer: str | None = "18", **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(REPLIES.names)
    row |= {
        "key": f"sha256:{name}-{sample}",
        "question_id": name,
        "sample": sample,
        "teacher": "oracle",
        "status": "ok",
        "reasoning_form": "full",
        "reasoning": f"I count them, {NUMBERS[sample]} at a time.",
        "answer": answer,
        "block": "none",
        "completion_tokens": 10 + sample,
    }
    return row | columns


def trace(text: str, answer: str = "18", **columns: Any) -> dict[str, Any]:
    turns = [{"role": "user", "content": text}, {"role": "assistant", "content": answer, "reasoning": "I look it up."}]
    return {"messages": turns, **columns}


def lines(path: Path, rows: Iterable[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


class Checked:
    """What came of a check, of which every promise that holds for any check is looked at."""

    def __init__(
        self,
        folder: Path,
        questions: list[Question],
        replies: list[dict[str, Any]],
        *,
        from_elsewhere: int = 0,
        examinations: tuple[Path, ...] = (),
        **options: Any,
    ) -> None:
        write_questions(folder / "questions.parquet", questions)
        write_table(folder / "replies.parquet", REPLIES, replies)
        parsed = CheckSettings.model_validate({"overlap": KEEP_ALL, **options})
        self.report = check(folder, parsed, examinations=examinations, read_rows=file_rows)
        held = folder / "held_out.parquet"
        self.traces = list(read_rows(folder / "traces.parquet"))
        self.held_out = list(read_rows(held)) if held.exists() else []
        self.rejected = list(read_rows(folder / "rejected.parquet"))
        assert not [path for path in folder.iterdir() if path.name.startswith(".")], "nothing temporary is left"
        kept = [*self.traces, *self.held_out]
        assert self.report["rows"] == len(replies) + from_elsewhere == len(kept) + len(self.rejected)
        assert (self.report["kept"], self.report["held_out"]) == (len(kept), len(self.held_out))
        assert self.report["rejected"] == dict(Counter(row["reason"] for row in self.rejected))
        assert list(self.report["rejected"]) == [reason for reason in REASONS if reason in self.report["rejected"]]
        assert self.report["why"] == {reason: REASONS[reason] for reason in self.report["rejected"]}
        for part in ("families", "sources"):
            assert sum(each["rows"] for each in self.report[part].values()) == self.report["rows"]
            assert sum(each["kept"] for each in self.report[part].values()) == self.report["kept"]

    def reasons(self) -> dict[str, str]:
        return {row["reply_key"]: row["reason"] for row in self.rejected}

    def kept_keys(self) -> list[str]:
        return [row["reply_key"] for row in self.traces]


def test_an_answer_that_only_the_reasoning_holds_is_seen_after_the_verifier(tmp_path: Path) -> None:
    row = reply("a", answer="That is what was asked for.", reasoning="So it is \\boxed{18}.")
    checked = Checked(tmp_path, [question("a")], [row, reply("a", 1)])
    assert checked.reasons() == {"sha256:a-0": "answer_in_reasoning"}
    assert checked.report["may_be_wrong"] == ["answer_in_reasoning"]


def test_shares_of_unsure_and_truncated_everywhere(tmp_path: Path) -> None:
    replies = [reply("a"), reply("a", 1, "18 or 19"), reply("a", 2, status="truncated"), reply("b", 0, "19")]
    report = Checked(tmp_path, [question("a", family="pears"), question("b", family="plums")], replies).report
    assert report["shares"] == {"truncated": 0.25, "unsure": 1 / 3}
    assert report["families"]["pears"]["shares"] == {"truncated": 1 / 3, "unsure": 0.5}
    assert report["families"]["plums"]["shares"] == {"truncated": 0.0, "unsure": 0.0}
    assert report["sources"]["own"]["shares"] == report["shares"]


def test_overlapping_questions_are_left_out_after_the_filters_and_before_the_verifiers(tmp_path: Path) -> None:
    text = "A robe takes two bolts of blue fiber and half that much white fiber. How many bolts does it take in total?"
    write_questions(tmp_path / "exam.parquet", [question("e", text=text)])
    questions = [question("a"), question("b", text=text), question("c")]
    replies = [reply("a"), reply("b", 0, "19"), reply("b", 1, status="truncated"), reply("c")]
    checked = Checked(tmp_path, questions, replies, examinations=(tmp_path / "exam.parquet",))
    assert checked.reasons() == {"sha256:b-0": "contaminated", "sha256:b-1": "truncated"}
    assert checked.report["overlap"]["left_out"] == {"contaminated": 1}
    (hit,) = [row for row in read_rows(tmp_path / "overlap.parquet") if row["question_id"] == "b"]
    assert (hit["question"], hit["other"]) == (text, text)
    overruled = Checked(
        tmp_path, questions, replies, examinations=(tmp_path / "exam.parquet",), overlap={"overrule": ["b"], **KEEP_ALL}
    )
    assert overruled.reasons() == {"sha256:b-0": "wrong", "sha256:b-1": "truncated"}


def test_the_same_question_twice_is_asked_and_kept_once(tmp_path: Path) -> None:
    same = "How many legs do seven spiders and a millipede with two hundred legs have together?"
    questions = [question("a", text=same), question("b", text=same)]
    checked = Checked(tmp_path, questions, [reply("a"), reply("b")], overlap={})
    assert checked.reasons() == {"sha256:b-0": "duplicate_question"}


def test_what_a_killed_check_has_left_is_swept_away_and_two_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / ".check-killed").mkdir()
    (tmp_path / ".check-killed" / "good.parquet").write_bytes(b"half")
    Checked(tmp_path, [question("a")], [reply("a")])  # looks for what is left
    another = FolderLock(tmp_path / "check.lock", "It")
    with pytest.raises(StoreError, match="is in use by process"):
        check(tmp_path, CheckSettings())
    another.release()
    check(tmp_path, CheckSettings())


# Agreement and judge


def test_agreement_where_no_answer_is_known(tmp_path: Path) -> None:
    open_ = question("open", None, "number")
    answers = ["It is 18.", "18", "It is 19.", "18 or 19", None]
    replies = [reply("open", sample, answer) for sample, answer in enumerate(answers)]
    replies[4] |= {"status": "truncated"}
    assert set(Checked(tmp_path, [open_], replies).reasons().values()) == {"unverifiable", "truncated"}
    without = Checked(tmp_path, [open_], replies, agreement=0.6)
    assert Counter(without.reasons().values()) == {"unsure": 4, "truncated": 1}
    replies[2]["answer"] = "So: 18"
    checked = Checked(tmp_path, [open_, question("known")], [*replies, reply("known")], agreement=0.6)
    assert checked.kept_keys() == ["sha256:known-0", "sha256:open-0", "sha256:open-1", "sha256:open-2"]
    assert [row["judged_by"] for row in checked.traces] == ["verifier", "agreement", "agreement", "agreement"]
    assert checked.traces[1]["pass_rate"] == 0.75
    assert "agree" in next(row["detail"] for row in checked.rejected if row["reason"] == "unsure")


def judging(prompt: str) -> Answer:
    verdict = "right" if "A pear is a fruit." in prompt else "wrong"
    return Answer(json.dumps({"reason": "it says so", "verdict": verdict}))


def test_a_judge_is_asked_about_what_nothing_else_can_tell(tmp_path: Path) -> None:
    questions = [question("open", None, "none", text="What is a pear?"), question("known"), question("unsure")]
    replies = [
        reply("known"),
        reply("known", 1, "19"),
        reply("open", 0, "A pear is a fruit."),
        reply("open", 1, "A pear is a dance."),
        reply("open", 2, "A pear is a fruit.", status="truncated"),
        reply("unsure", 0, "18 or 19"),
    ]
    with MisbehavingTeacher(judging, models=["judge"]) as server:
        judge = {
            "model": "judge",
            "base_url": server.base_url,
            "price": "none",
            "compare_with_reference": False,
            "measure_on": 2,
        }
        checked = Checked(tmp_path, questions, replies, judge=judge)
        asked = server.requests
        again = Checked(tmp_path, questions, replies, judge=judge)
        assert server.requests == asked, "what the journal holds is not paid for twice"
    assert checked.kept_keys() == ["sha256:known-0", "sha256:open-0"]
    assert [row["judged_by"] for row in checked.traces] == ["verifier", "judge"]
    assert checked.reasons() == {
        "sha256:known-1": "wrong",
        "sha256:open-1": "wrong",
        "sha256:open-2": "truncated",
        "sha256:unsure-0": "wrong",
    }
    facts = checked.report["judge"]
    assert (facts["model"], facts["answers"], facts["cost_usd"]) == ("judge", 3, None)
    assert facts["measured"]["without_reference"]["asked"] == 2
    assert {**again.report, "seconds": None} == {**checked.report, "seconds": None}


# Selection


def test_difficulty_by_the_teachers_own_samples(tmp_path: Path) -> None:
    replies = [reply("easy", sample) for sample in range(4)]
    replies += [reply("fair", sample, "18" if sample else "19") for sample in range(4)]
    replies += [reply("hard", sample, "19" if sample else "18") for sample in range(4)]
    questions = [question("easy"), question("fair"), question("hard"), question("open", None, "none")]
    checked = Checked(tmp_path, questions, [*replies, reply("open")], pass_rate=[0.3, 0.8])
    assert {key.partition("-")[0] for key in checked.kept_keys()} == {"sha256:fair", "sha256:open"}
    assert checked.report["rejected"] == {"wrong": 4, "too_easy": 4, "too_hard": 1}
    assert checked.report["selected_away"] == ["too_easy", "too_hard"]
    assert checked.report["unknown_difficulty"] == 1


def test_difficulty_by_a_file(tmp_path: Path) -> None:
    rates = lines(
        tmp_path / "base.jsonl",
        [
            {"question_id": "a", "pass_rate": 0.0},
            {"question_id": "b", "pass_rate": 0.5},
            {"question_id": "c", "pass_rate": None},
        ],
    )
    questions = [question(name) for name in "abcd"]
    checked = Checked(tmp_path, questions, [reply(name) for name in "abcd"], pass_rate=[0.1, 0.9], pass_rates=rates)
    assert checked.reasons() == {"sha256:a-0": "too_hard"}
    assert checked.report["unknown_difficulty"] == 2
    assert {row["pass_rate"] for row in checked.traces} == {1.0}, "a trace says what the teacher's samples say"


@pytest.mark.parametrize("rate", [1.5, -0.1, "half", True, [1]])
def test_a_pass_rate_that_is_none_is_an_error(tmp_path: Path, rate: Any) -> None:
    rates = lines(tmp_path / "base.jsonl", [{"question_id": "a", "pass_rate": rate}])
    with pytest.raises(DataError, match=r"base\.jsonl line 1: pass_rate"):
        Checked(tmp_path, [question("a")], [reply("a")], pass_rate=[0.1, 0.9], pass_rates=rates)


def test_a_mix_of_long_and_short(tmp_path: Path) -> None:
    names = [f"{word} {other}" for word in NUMBERS[:5] for other in NUMBERS[:4]]
    replies = [reply(name, completion_tokens=2000 if place % 2 else 100) for place, name in enumerate(names)]
    checked = Checked(tmp_path, [question(name) for name in names], replies, long_share=0.2)
    assert Counter(row["tokens"] for row in checked.traces) == {100: 10, 2000: 2}
    assert checked.report["rejected"] == {"long_share": 8}
    assert checked.report["long_share"] == {"wanted": 0.2, "kept": pytest.approx(1 / 6)}


def test_held_out_questions_are_in_a_table_of_their_own(tmp_path: Path) -> None:
    names = [f"{word} {other}" for word in NUMBERS for other in NUMBERS[:4]]
    replies = [reply(name, sample) for name in names for sample in (0, 1)]
    # Near copies of each other stand on one side: these share no words.
    questions = [question(name, text=f"{name[::-1]} {number} {name}") for number, name in enumerate(names)]
    checked = Checked(tmp_path, questions, replies, held_out=0.3)
    trained, held = ({row["question_id"] for row in rows} for rows in (checked.traces, checked.held_out))
    assert not trained & held
    assert len(held) in range(5, 25)
    assert Checked(tmp_path, questions, replies).held_out == []


# Traces from elsewhere


def test_traces_from_elsewhere_are_checked_and_weighed(tmp_path: Path) -> None:
    names = [f"{word} {other}" for word in NUMBERS[:5] for other in NUMBERS[:2]]
    others = [trace(f"What is {word} and {other}?", "18", solution="18") for word in NUMBERS for other in NUMBERS[:2]]
    others += [
        trace("How much is a dozen and half a dozen?", "19", solution="18", licence="mit"),
        trace("How much is twenty less two?", "", solution="18"),
        trace("How much is twice nine?", "I'm sorry, but I can't help with that.", solution="18"),
        {"messages": [], "solution": "18"},
        others[0],
    ]
    path = lines(tmp_path / "others.jsonl", others)
    mix = [{"from": "file", "path": path, "weight": 0.5, "answer": "solution", "kind": "number", "licence": "cc0"}]
    checked = Checked(
        tmp_path, [question(name) for name in names], [reply(name) for name in names], from_elsewhere=29, mix=mix
    )
    assert Counter(row["source"] for row in checked.traces) == {"own": 10, "others.jsonl": 5}
    assert {row["licence"] for row in checked.traces} == {None, "cc0"}
    assert checked.report["rejected"] == {
        "not_a_conversation": 1,
        "empty_answer": 1,
        "refused_in_words": 1,
        "wrong": 1,
        "duplicate": 1,
        "mix_weight": 19,
    }
    (facts,) = checked.report["mix"]
    assert (facts["path"], facts["weight"], facts["rows"], facts["kept"]) == (path, 0.5, 29, 5)
    assert checked.report["sources"]["others.jsonl"]["licences"] == ["cc0", "mit"]
    (stray,) = [row for row in checked.rejected if row["reason"] == "not_a_conversation"]
    assert (stray["question_id"], stray["messages"], stray["source"]) == (None, [], "others.jsonl")
    (weighed, *_) = [row for row in checked.rejected if row["reason"] == "mix_weight"]
    assert (weighed["verdict"], weighed["answer"], weighed["reasoning"]) == ("right", "18", "I look it up.")
    assert len(weighed["messages"]) == 1
    kept = set(checked.kept_keys())
    lines(tmp_path / "others.jsonl", reversed(others))
    turned = Checked(
        tmp_path, [question(name) for name in names], [reply(name) for name in names], from_elsewhere=29, mix=mix
    )
    assert set(turned.kept_keys()) == kept, "which rows are drawn does not depend on their order"


def test_a_trace_of_one_of_our_own_questions_is_a_sample_of_it(tmp_path: Path) -> None:
    own = question("a")
    path = lines(tmp_path / "others.jsonl", [trace(own.messages[0].content, "It is 18."), trace("Another?", "Yes.")])
    checked = Checked(tmp_path, [own], [reply("a"), reply("a", 1, "19")], from_elsewhere=2, mix=[{"path": path}])
    mine, other, apart = checked.traces
    assert (mine["question_id"], other["question_id"]) == ("a", "a")
    assert (other["verdict"], other["judged_by"], other["expected"]) == ("right", "verifier", "18")
    assert (mine["pass_rate"], other["pass_rate"]) == (0.5, None), "the rate is of the teacher's samples"
    assert apart["verdict"] == "unverifiable"


def test_a_replay_share_keeps_tools_and_turns(tmp_path: Path) -> None:
    names = [f"{word} {other}" for word in NUMBERS[:4] for other in NUMBERS[:2]]
    add = {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
    call = {"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}
    calls = {"role": "assistant", "content": "", "tool_calls": [call]}
    result = {"role": "tool", "tool_call_id": "c1", "content": "18"}
    asked = [{"role": "user", "content": "Please tell me how much nine and nine is."}]
    said = {"role": "assistant", "content": "It is eighteen."}
    general: list[dict[str, Any]] = [
        {"messages": [*asked, calls, result, said], "tools": [add]},
        {"messages": [*asked, calls], "tools": [add]},
        {"messages": [*asked, calls, result, said, {"role": "user", "content": "Thank you."}, said], "tools": [add]},
        *({"messages": [{"role": "user", "content": f"What is a {word}?"}, said]} for word in NUMBERS[:5]),
    ]
    path = lines(tmp_path / "general.jsonl", general)
    own, replies = [question(name) for name in names], [reply(name) for name in names]
    checked = Checked(tmp_path, own, replies, from_elsewhere=8, mix=[{"path": path}])
    kept = [row for row in checked.traces if row["tools"] is not None]
    assert [json.loads(row["tools"]) for row in kept] == [[add]] * 3
    by_length = {len(row["messages"]): row["messages"] for row in kept}
    assert json.loads(by_length[2][1]["tool_calls"]) == [call]
    # What leads to the reply is trained with it; an earlier turn, and what a tool says, is not.
    assert [message["train"] for message in by_length[2]] == [False, True]
    assert [message["train"] for message in by_length[4]] == [False, True, False, True]
    assert [message["train"] for message in by_length[6]] == [False] * 5 + [True]
    assert all(row["tools"] is None for row in checked.traces if row["source"] == "own")
    # A weight of 0.25 makes a fifth of all rows.
    weighed = Checked(tmp_path, own, replies, from_elsewhere=8, mix=[{"path": path, "weight": 0.25}])
    (facts,) = weighed.report["mix"]
    assert (facts["kept"], weighed.report["kept"], facts["share"]) == (2, 10, 0.2)


# Nothing disappears


def texts(marker: str) -> st.SearchStrategy[str | None]:
    fixed = ["18", "19", "18 or 19", "", "  ", "I'm sorry, but I can't help with that.", "</think>18", "所以 18"]
    return st.sampled_from([*fixed, marker, "So it is \\boxed{18}", "Wait, no. " * 40, None])


some_reply = st.fixed_dictionaries(
    {
        "status": st.sampled_from(["ok", "ok", "ok", "truncated", "refused", "empty", "failed"]),
        "answer": texts("eighteen"),
        "reasoning": texts("I count them one by one."),
        "reasoning_form": st.sampled_from(["full", "full", "summary", "hidden", "none"]),
        "block": st.sampled_from(["none", "none", "well_formed", "unclosed", "not_well_formed"]),
        "completion_tokens": st.sampled_from([None, 1, 40, 4000]),
    }
)
some_question = st.tuples(
    st.sampled_from(["number", "exact", "none", "code"]),
    st.sampled_from(["18", None]),
    st.lists(some_reply, max_size=4),
)
some_trace = st.one_of(
    st.builds(trace, st.sampled_from(["Twice nine?", "Half of 36?"]), texts("18").map(lambda text: text or "")),
    st.sampled_from([{}, {"messages": []}, {"messages": "["}, {"prompt": "?"}, {"prompt": "?", "completion": "18"}]),
)
some_settings = st.fixed_dictionaries(
    {
        "keep": st.sampled_from(["all_right", "shortest_right"]),
        "per_question": st.sampled_from([None, 1, 2]),
        "require_reasoning": st.booleans(),
        "max_tokens": st.sampled_from([None, 30]),
        "language": st.sampled_from(["en", "same_as_question", "off"]),
        "ignore": st.lists(st.sampled_from([name for name in MAY_BE_WRONG if name != "wrong_language"]), unique=True),
        "agreement": st.sampled_from([None, 0.6]),
        "pass_rate": st.sampled_from([None, [0.2, 0.8]]),
        "most_per_source": st.sampled_from([None, 1, 3]),
        "long_share": st.sampled_from([None, 0.0, 0.3, 1.0]),
        "held_out": st.sampled_from([0.0, 0.5]),
        "overlap": st.sampled_from([KEEP_ALL, {}]),
    }
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(
    st.lists(some_question, max_size=5),
    st.lists(some_trace, max_size=5),
    some_settings,
    st.sampled_from([None, 0.5, 2.0]),
)
def test_rows_in_are_rows_kept_and_rows_rejected(
    tmp_path_factory: pytest.TempPathFactory,
    asked: list[tuple[Any, str | None, list[dict[str, Any]]]],
    others: list[dict[str, Any]],
    options: dict[str, Any],
    weight: float | None,
) -> None:
    folder = tmp_path_factory.mktemp("run")
    questions = [question(NUMBERS[place], answer, kind) for place, (kind, answer, _) in enumerate(asked)]
    replies = [
        reply(NUMBERS[place], sample, **columns)
        for place, (_, _, rows) in enumerate(asked)
        for sample, columns in enumerate(rows)
    ]
    others = [trace("Twice nine?", "It is 18."), *others]  # a file without any conversation is an error
    mix = [{"path": lines(folder / "others.jsonl", others), "weight": weight}]
    checked = Checked(folder, questions, replies, from_elsewhere=len(others), mix=mix, **options)
    keys = Counter(row["reply_key"] for row in [*checked.traces, *checked.held_out, *checked.rejected])
    assert all(keys[row["key"]] == 1 for row in replies)
    assert all(row["reason"] in REASONS and row["detail"] for row in checked.rejected)
    for row in [*checked.traces, *checked.held_out]:
        assert row["verdict"] == "right" or row["kind"] == "none"
        assert row["messages"][-1]["content"].strip()
        assert [message["train"] for message in row["messages"]] == [False] * (len(row["messages"]) - 1) + [True]
