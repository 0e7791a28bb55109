"""What a person is warned of, on the page, in summary.json and in the terminal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stillroom.check import reasons
from stillroom.report.page import summarise, write_report
from stillroom.report.warnings import REMEDIES, SELECTED_AWAY
from stillroom.report.words import headline


def _change(path: Path, **values: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def _warnings(folder: Path) -> list[str]:
    return [warning.replace("\N{NO-BREAK SPACE}", " ") for warning in summarise(folder)["warnings"]]


def test_a_sound_run_has_none(sound: Path, read_page: Any) -> None:
    assert _warnings(sound) == []
    assert "Warning" not in read_page(write_report(sound)).text


def test_nearly_everything_was_rejected(sound: Path, read_page: Any) -> None:
    _change(sound / "check.json", kept=360, rejected={"wrong": 240, "truncated": 3000})
    (warning,) = _warnings(sound)
    assert warning == (
        "3,240 of 3,600 replies (90.0 %) were rejected, most of them as truncated (3,000). Raise ask.max_tokens: only "
        "the replies that were cut are asked for again. `stillroom look abacus` shows some."
    )
    assert "Warning: 3,240 of 3,600 replies" in read_page(write_report(sound)).text
    _change(sound / "check.json", kept=720, rejected={"wrong": 2880})
    assert len(_warnings(sound)) == 1
    _change(sound / "check.json", kept=721, rejected={"wrong": 2879})
    assert _warnings(sound) == []


def test_right_replies_that_were_not_wanted_are_no_reason_for_a_warning(sound: Path) -> None:
    _change(sound / "check.json", kept=360, rejected={"wrong": 240, "not_selected": 3000})
    assert _warnings(sound) == []


def _judge(sound: Path, **figures: int) -> None:
    """A check with a judge that was asked about 50 answers that are right and 50 that are wrong."""
    known = {"asked": 100, "unsure": 0, "replies": 200, "repaired": 0, "unreadable": 0, "called_right": 0} | figures
    rate = {"n": 50, "share": 0.0, "low": 0.0, "high": 0.1}
    measured = {**known, "agreement": rate | {"count": 0}, "called_wrong": rate | {"count": 0}}
    measured["called_right"] = rate | {"count": known["called_right"]}
    _change(sound / "check.json", judge={"model": "oracle", "answers": 9, "measured": {"with_reference": measured}})


def test_a_judge_that_nobody_can_read(sound: Path) -> None:
    _judge(sound, unreadable=20)
    assert _warnings(sound) == [
        "20 of 200 replies (10.0 %) of the judge oracle held no verdict that can be read: it has to reply with a JSON "
        "object. Raise check.judge.max_tokens, or take another model."
    ]
    _judge(sound, unreadable=19)
    assert _warnings(sound) == []


def test_a_judge_that_calls_wrong_answers_right(sound: Path) -> None:
    _judge(sound, called_right=10)
    assert _warnings(sound) == [
        "The judge oracle called 10 of 50 answers (20.0 %) right that are known to be wrong. Change "
        "check.judge.rubric, or take another model."
    ]
    _judge(sound, called_right=9)
    assert _warnings(sound) == []


def test_every_reason_has_a_remedy() -> None:
    assert set(REMEDIES) | set(SELECTED_AWAY) == set(reasons.REASONS)
    assert reasons.SELECTED_AWAY == SELECTED_AWAY


def test_little_to_train_on_is_said_where_the_recipe_trains(sound: Path) -> None:
    _change(sound / "check.json", rows=100, kept=99, rejected={"wrong": 1})
    (warning,) = _warnings(sound)
    assert warning.startswith("Only 99 traces to train on")
    _change(sound / "check.json", kept=100, rejected={})
    assert _warnings(sound) == []
    _change(sound / "check.json", kept=1, rejected={})
    assert _warnings(sound)[0].startswith("Only 1 trace to train on")
    _does_not_train(sound, "train: null\nexam: {compare: [teacher]}\n")
    assert _warnings(sound) == []


def test_calls_of_the_examination_that_failed(sound: Path) -> None:
    exam = json.loads((sound / "exam.json").read_text())
    exam["takers"]["base"]["failed"] = 3
    exam["takers"]["student"]["failed"] = 1
    (sound / "exam.json").write_text(json.dumps(exam))
    assert _warnings(sound) == [
        "Calls of the examination failed and count as not right (student 1, base 3). Run the recipe again."
    ]


# What the recipe does not have is not spoken of


def _does_not_train(folder: Path, recipe: str) -> None:
    """As a run leaves the folder whose recipe does not train."""
    (folder / "recipe.yaml").write_text(f"name: abacus\n{recipe}")
    if "exam:" not in recipe:
        (folder / "exam.json").unlink()
    for method in ("sft", "answers_only"):
        (folder / "train" / method / "train.json").unlink()


def test_a_recipe_that_only_asks_and_checks(sound: Path, read_page: Any) -> None:
    _does_not_train(sound, "")
    summary = summarise(sound)
    assert summary["stages"] == ["ask", "check"]
    assert headline(summary) == "3,388 replies kept."
    page = read_page(write_report(sound))
    assert "Not there yet" not in page.text
    assert "examin" not in page.text.split("The recipe")[0]


def test_a_recipe_that_does_not_train(sound: Path, read_page: Any) -> None:
    _does_not_train(sound, "exam: {compare: [teacher]}\n")
    exam = json.loads((sound / "exam.json").read_text())
    exam |= {"takers": {"teacher": exam["takers"]["teacher"]}, "comparisons": []}
    (sound / "exam.json").write_text(json.dumps(exam))
    summary = summarise(sound)
    assert headline(summary).replace("\N{NO-BREAK SPACE}", " ") == "The teacher answers 95.2 % right."
    page = read_page(write_report(sound))
    assert "Not there yet" not in page.text
    assert "The teacher answers 95.2 % of 600 questions right" in page.text.replace("\N{NO-BREAK SPACE}", " ")


def test_a_recipe_that_trains_on_answers_only_and_has_not_yet(sound: Path, read_page: Any) -> None:
    (sound / "recipe.yaml").write_text(
        (sound / "recipe.yaml").read_text().replace("method: sft", "method: answers_only")
    )
    for file in ("exam.json", "train/sft/train.json", "train/answers_only/train.json"):
        (sound / file).unlink()
    text = read_page(write_report(sound)).text
    assert "the training (train/answers_only/train.json)" in text
    assert "the examination (exam.json)" in text
