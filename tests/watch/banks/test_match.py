"""Calls against a bank: what is found, what is not, and what never matches."""

from __future__ import annotations

import json
import pickle
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.text.sketch import PLACES
from stillroom.watch.banks.match import CALLS, HITS, match
from stillroom.watch.banks.prints import BankPrints, BankText

PRINTS = Prints(Secrets(bytes(32)), "2026q4")
LATER = Prints(Secrets(bytes(32)), "2027q1")
REFERENCES = Path(__file__).parents[2] / "data" / "references"


def bank_of(questions: Sequence[str], name: str = "bank", prints: Prints = PRINTS) -> BankPrints:
    return BankPrints.of(BankText(name, tuple(questions), None, ""), prints)


def calls_of(texts: Sequence[str | None], prints: Prints = PRINTS) -> pa.RecordBatch:
    printed = [prints.texts(text, None) for text in texts]
    return pa.RecordBatch.from_pylist(
        [
            {
                "call_id": f"call {number}",
                "account": f"acct_{number % 3}",
                "at": 1_000 + number,
                "print_key_id": prints.print_key_id,
                "prompt_print": each.prompt,
                "minhash": each.sketch,
            }
            for number, each in enumerate(printed)
        ],
        CALLS,
    )


def hits(texts: Sequence[str | None], *banks: BankPrints) -> list[tuple[int, str, int, bool]]:
    """(which text, bank, question, is_exact), sorted."""
    found = match(calls_of(texts), banks).to_pylist()
    return sorted((int(row["call_id"][5:]), row["bank"], row["question"], row["is_exact"]) for row in found)


@pytest.fixture(scope="module")
def questions() -> list[str]:
    lines = (REFERENCES / "gsm8k.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line)["question"] for line in lines]


@pytest.fixture(scope="module")
def bank(questions: list[str]) -> BankPrints:
    return bank_of(questions)


def test_a_question_is_found_however_it_is_spaced_and_capitalised(questions: list[str], bank: BankPrints) -> None:
    asked = [questions[3], questions[7].upper(), "  " + questions[9].replace(" ", "\n  ")]
    assert hits(asked, bank) == [(0, "bank", 3, True), (1, "bank", 7, True), (2, "bank", 9, True)]


def test_whose_it_is_and_when_stand_beside_it(questions: list[str], bank: BankPrints) -> None:
    found = match(calls_of(["Something else entirely, of no bank.", questions[5]]), [bank])
    assert found.schema == HITS
    assert found.to_pylist() == [
        {"call_id": "call 1", "account": "acct_1", "at": 1_001, "bank": "bank", "question": 5, "is_exact": True}
    ]


def test_other_names_and_numbers_are_alike_and_not_the_same(bank: BankPrints, questions: list[str]) -> None:
    reworded = questions[0].replace("Janet", "Olga").replace("16", "23").replace("three", "five").replace("$2", "$3")
    assert reworded != questions[0]
    assert hits([reworded], bank) == [(0, "bank", 0, False)]


def test_a_question_in_a_short_instruction_is_alike_and_in_a_long_one_it_is_not(
    questions: list[str], bank: BankPrints, real_texts: Sequence[str]
) -> None:
    short = f"Solve this step by step and put the final number after ####.\n\n{questions[12]}"
    long = "\n\n".join([*real_texts[:20], questions[12]])
    assert hits([short, long], bank) == [(0, "bank", 12, False)]


def test_real_texts_that_have_nothing_to_do_with_it_are_no_hits(bank: BankPrints, real_texts: Sequence[str]) -> None:
    assert hits(list(real_texts), bank) == []


@pytest.mark.parametrize("greeting", ["Hi", "hello", "thanks!", "Please go on.", "What is 2 + 2?", "reconcile"])
def test_short_texts_are_like_nothing(greeting: str) -> None:
    bank = bank_of(["Hi there", "hello!!", "Thanks, go on.", "What is 2 + 3?", "Please, go on..."])
    assert hits([greeting], bank) == []


def test_a_question_of_two_banks_hits_both(questions: list[str]) -> None:
    banks = [bank_of(questions[:10], "first"), bank_of(questions[5:], "second")]
    assert hits([questions[7], questions[2]], *banks) == [
        (0, "first", 7, True),
        (0, "second", 2, True),
        (1, "first", 2, True),
    ]


def test_of_several_that_are_alike_the_likest_is_hit(questions: list[str]) -> None:
    first = questions[1].split()[0]
    versions = [questions[1].replace(first, name) for name in ("Bartholomew the third", "Anna", "Everybody in class")]
    assert hits([questions[1].replace(first, "Annas")], bank_of(versions)) == [(0, "bank", 1, False)]


def test_other_keys_never_match(questions: list[str], bank: BankPrints) -> None:
    calls = calls_of(questions[:5], LATER)
    assert match(calls, [bank]).num_rows == 0
    assert match(calls, [bank, bank_of(questions, "later", LATER)]).num_rows == 5


def test_what_is_unknown_never_matches(questions: list[str], bank: BankPrints) -> None:
    rows = calls_of([questions[0], questions[1], questions[2], None]).to_pylist()
    rows[0] |= {"prompt_print": None, "minhash": None}
    rows[1] |= {"print_key_id": None}
    rows[2] |= {"prompt_print": None}  # its sketch is still its sketch
    assert match(pa.RecordBatch.from_pylist(rows, CALLS), [bank])["question"].to_pylist() == [2]


def test_nothing_is_found_without_calls_or_banks(questions: list[str], bank: BankPrints) -> None:
    for calls, banks in ((calls_of([]), [bank]), (calls_of(questions), []), (calls_of(questions), [bank_of([])])):
        found = match(calls, banks)
        assert (found.num_rows, found.schema) == (0, HITS)


def test_a_part_of_a_batch_and_sketches_of_no_fixed_size(questions: list[str], bank: BankPrints) -> None:
    reworded = [text.replace(" the ", " this ") for text in questions]
    calls = calls_of(reworded)
    loose = calls.set_column(5, pa.field("minhash", pa.binary()), calls["minhash"].cast(pa.binary()))
    for batch in (calls, loose):
        of_part = match(batch.slice(20, 15), [bank]).sort_by("call_id")
        of_all = match(batch, [bank]).sort_by("call_id").to_pylist()
        assert of_part.to_pylist() == [row for row in of_all if 20 <= row["question"] < 35]
        assert of_part.num_rows == 15


@pytest.mark.parametrize("size", [2_000, 20_000])
def test_lookup_finds_what_comparing_with_every_question_finds(size: int) -> None:
    """Sketches that share more and more places with one question each; those of large banks have other bands."""
    chance = np.random.default_rng(7)
    sketches = chance.integers(0, 256, (size, PLACES), np.uint8)
    shared = np.arange(120) % PLACES
    asked = chance.integers(0, size, 120)
    calls = np.where(chance.random((120, PLACES)).argsort(axis=1) < shared[:, None], sketches[asked], 0)
    calls = np.where(calls == 0, chance.integers(0, 256, calls.shape), calls).astype(np.uint8)
    rows = [
        {"call_id": str(number), "account": "a", "at": 0, "print_key_id": "k", "minhash": sketch.tobytes()}
        for number, sketch in enumerate(calls)
    ]
    prints = pa.array([f"{number:032x}" for number in range(size)])
    bank = BankPrints("bank", "k", prints, sketches, np.full(size, 20, np.uint8))
    found = match(pa.RecordBatch.from_pylist(rows, CALLS), [bank]).to_pylist()
    agreeing = [(calls[:, None, :] == sketches[start : start + 500]).sum(axis=2) for start in range(0, size, 500)]
    every = np.concatenate(agreeing, axis=1)
    assert all(every[int(row["call_id"]), row["question"]] >= 20 for row in found)
    by_call = {int(row["call_id"]): row["question"] for row in found}
    surely = [number for number in range(120) if every[number].max() >= 32]
    assert all(by_call[number] == every[number].argmax() for number in surely)
    nearly = [number for number in range(120) if 24 <= every[number].max() < 32]
    assert sum(number in by_call for number in nearly) >= 0.9 * len(nearly)


def test_wide_columns_are_read_as_well(questions: list[str], bank: BankPrints) -> None:
    calls = calls_of([*questions[:3], questions[4].replace(" the ", " this ")])
    wide = [pa.large_string() if field.type == pa.string() else field.type for field in calls.schema]
    columns = [column.cast(kind) for column, kind in zip(calls.columns, wide, strict=True)]
    found = match(pa.RecordBatch.from_arrays(columns, names=calls.schema.names), [bank])
    assert found.sort_by("call_id").equals(match(calls, [bank]).sort_by("call_id"))
    assert found.num_rows == 4


def test_a_bank_goes_to_another_process(bank: BankPrints, questions: list[str]) -> None:
    there = pickle.loads(pickle.dumps(bank))
    assert match(calls_of(questions), [there]).equals(match(calls_of(questions), [bank]))


def test_many_alike_are_matched_within_bounds() -> None:
    """A bank, and calls, in which all sketches agree in most places: nearly every pair is a candidate."""
    chance = np.random.default_rng(2)
    sketches = np.tile(chance.integers(0, 256, PLACES, np.uint8), (3_000, 1))
    own = chance.random(sketches.shape) < 0.3
    sketches[own] = chance.integers(0, 256, int(own.sum()), np.uint8)
    prints = pa.array([f"{number:032x}" for number in range(len(sketches))])
    bank = BankPrints("bank", "k", prints, sketches, np.full(len(sketches), 20, np.uint8))
    minhash = pa.array([row.tobytes() for row in sketches], pa.binary(PLACES))
    texts = pa.array(["x"] * len(sketches))
    calls = pa.RecordBatch.from_arrays(
        [texts, texts, pa.array(range(len(sketches))), pa.array(["k"] * len(sketches)), texts, minhash], schema=CALLS
    )
    found = match(calls, [bank])
    itself = np.asarray(found["at"]) == np.asarray(found["question"])
    assert itself.mean() == 1
    assert len(itself) > 0.9 * len(sketches)
