from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.base.errors import DataError
from stillroom.base.records import Message, Question
from stillroom.check.overlap.find import find_overlap
from stillroom.check.overlap.settings import OverlapSettings
from stillroom.store.tables import count_rows, read_rows, write_questions

Made = Callable[..., Any]

SENTENCE = "a baker bakes 12 rolls and 30 small loaves every day for his shop in town he sells them all at 2 dollars"
WORDS = SENTENCE.split()
SYLLABLES = ("ba", "ko", "mi", "ru", "ste", "no", "va", "di", "pe", "lu")
SENTENCES = st.lists(st.sampled_from(WORDS), min_size=0, max_size=14).map(" ".join)
TEXTS = st.lists(SENTENCES | st.text(max_size=8), min_size=1, max_size=8)


def written(folder: Path, name: str, texts: dict[str, str]) -> Path:
    path = folder / name
    made = [
        Question(id=each, messages=(Message(role="user", content=text),), source="s") for each, text in texts.items()
    ]
    write_questions(path, made)
    return path


@settings(max_examples=40, deadline=None)
@given(texts=TEXTS, examined=TEXTS, seed=st.integers(0, 99))
def test_the_order_of_rows_does_not_matter_and_nothing_gets_lost(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], examined: list[str], seed: int
) -> None:
    folder = tmp_path_factory.mktemp("overlap")
    rows = {f"q{at}": text for at, text in enumerate(texts)}
    exam = written(folder, "exam.parquet", {f"e{at}": text for at, text in enumerate(examined)})
    found = find_overlap(written(folder, "a.parquet", rows), [exam], OverlapSettings(), folder / "a_overlap.parquet")
    listed = list(read_rows(folder / "a_overlap.parquet"))

    shuffled = list(rows.items())
    random.Random(seed).shuffle(shuffled)
    again = find_overlap(
        written(folder, "b.parquet", dict(shuffled)), [exam], OverlapSettings(), folder / "b_overlap.parquet"
    )
    assert again == found
    assert list(read_rows(folder / "b_overlap.parquet")) == listed

    report = found.report()
    assert report["questions"] == len(texts) == report["kept"] + sum(report["left_out"].values())
    assert set(found.left_out) <= set(rows)
    # Identical texts are always hits.
    for at, text in enumerate(texts):
        if text in texts[:at]:
            assert any(row["question_id"] == f"q{at}" and row["rule"] == "same_text" for row in listed)
        if text in examined:
            assert any(row["question_id"] == f"q{at}" and row["rule"] == "copy" for row in listed)
            assert found.left_out[f"q{at}"].reason == "contaminated"
    # Of those that say the same, the first is not left out for saying so, nor is what another one is near to.
    for row in listed:
        kept = found.left_out.get(row["other_id"])
        if row["rule"] == "same_text":
            assert kept is None or kept.reason != "duplicate_question"
        if row["rule"] == "near_duplicate":
            assert kept is None or kept.reason == "contaminated"


def test_no_questions_and_no_examinations(tmp_path: Path) -> None:
    found = find_overlap(
        written(tmp_path, "q.parquet", {}), [], OverlapSettings(), tmp_path / "new" / "overlap.parquet"
    )
    assert found.report() == {"questions": 0, "kept": 0, "left_out": {}, "hits": {}}
    assert count_rows(tmp_path / "new" / "overlap.parquet") == 0


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    find_overlap(written(tmp_path, "q.parquet", {"a": "Why?"}), [], OverlapSettings(), tmp_path / "overlap.parquet")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["overlap.parquet", "q.parquet"]


def test_more_files_are_given_by_the_settings(tmp_path: Path) -> None:
    questions = written(tmp_path, "q.parquet", {"a": "Why is the sky blue?", "b": "How many bones has a hand?"})
    (tmp_path / "more.jsonl").write_text('{"question": "Why is the sky blue?"}\n')
    settings_ = OverlapSettings(against=(str(tmp_path / "more.jsonl"),))
    found = find_overlap(questions, [], settings_, tmp_path / "overlap.parquet")
    assert found.left_out["a"].detail == "copy of more.jsonl line 1 (1.00)"


def test_an_overruled_id_that_is_not_there_is_said(tmp_path: Path) -> None:
    class Heard:
        sentences: list[str] = []  # noqa: RUF012 - one test, one list

        def update(self, stage: str, done: int, total: int | None, **facts: object) -> None:
            pass

        def say(self, sentence: str) -> None:
            self.sentences.append(sentence)

    heard = Heard()
    questions = written(tmp_path, "q.parquet", {"a": "Why?"})
    find_overlap(questions, [], OverlapSettings(overrule=("b",)), tmp_path / "overlap.parquet", heard)
    assert heard.sentences == ["check.overlap.overrule names b, which is not a question of this run."]


def test_an_id_that_stands_twice_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    same = Question(id="a", messages=(Message(role="user", content="Why?"),), source="s")
    write_questions(path, [same, same])
    with pytest.raises(DataError, match="'a' stands twice"):
        find_overlap(path, [], OverlapSettings(), tmp_path / "overlap.parquet")


def test_a_path_with_a_quotation_mark(tmp_path: Path) -> None:
    folder = tmp_path / "Jane's run"
    folder.mkdir()
    questions = written(folder, "q.parquet", {"a": "Why is it?", "b": "why is it"})
    assert list(find_overlap(questions, [], OverlapSettings(), folder / "overlap.parquet").left_out) == ["b"]


def test_many_questions_in_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("corpus", "duplicates", "contamination"):
        monkeypatch.setattr(f"stillroom.check.overlap.{module}.BATCH", 7)
    monkeypatch.setattr("stillroom.check.overlap.duplicates._PAIRS_AT_ONCE", 3)
    chance = random.Random(1)
    texts = {}
    for number in range(40):
        words = ["".join(chance.choices(SYLLABLES, k=3)) for _ in range(20)]
        texts[f"q{number:03d}"] = " ".join(words)
        words[chance.randrange(20)] = "other"
        texts[f"r{number:03d}"] = " ".join(words)
    exam = written(tmp_path, "exam.parquet", {f"e{n}": texts[f"q{n:03d}"] for n in range(0, 40, 4)})
    found = find_overlap(written(tmp_path, "q.parquet", texts), [exam], OverlapSettings(), tmp_path / "overlap.parquet")
    assert set(found.left_out) == {f"r{n:03d}" for n in range(40)} | {f"q{n:03d}" for n in range(0, 40, 4)}
    assert found.hits["near_duplicate"] == 40
