"""Banks that are kept: who may add them, what the log says, and what is not read."""

from __future__ import annotations

import json
import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.watch.banks.audit import ADDED, REMOVED, audit_problems, read_audit
from stillroom.watch.banks.printed import keys_of, printed_banks
from stillroom.watch.banks.prints import BankPrints
from stillroom.watch.banks.stored import BankAdded, add_bank, bank_named, list_banks, read_banks, remove_bank

SECRETS = Secrets(bytes(32))


@pytest.fixture
def watch(tmp_path: Path) -> Path:
    return tmp_path / "watch"


def file_of(folder: Path, texts: Sequence[str], name: str = "bank.jsonl") -> Path:
    path = folder / name
    path.write_text("".join(json.dumps({"question": text}) + "\n" for text in texts), encoding="utf-8")
    return path


def add(watch: Path, file: Path, name: str = "docs", *, role: str = "owner", split: str | None = "train") -> BankAdded:
    return add_bank(watch, file, name, by="Olga", role=role, reason="to see who copies them", split=split)


@pytest.fixture
def file(tmp_path: Path, real_texts: Sequence[str]) -> Path:
    return file_of(tmp_path, real_texts[:600])


def test_a_bank_is_kept_and_the_log_says_so(watch: Path, file: Path, real_texts: Sequence[str]) -> None:
    added = add(watch, file)
    assert (added.questions, added.repeated, added.too_short) == (600, 0, 0)
    (bank,) = read_banks(watch)
    assert (bank.name, bank.split, bank.digest) == ("docs", "train", added.digest)
    assert bank.questions == tuple(real_texts[:600])
    (record,) = read_audit(watch)
    assert record == added.record
    assert (record.act, record.by, record.role, record.reason) == (ADDED, "Olga", "owner", "to see who copies them")
    assert record.detail["digest"] == added.digest
    row = bank_named(watch, "docs")
    assert (row.questions, row.by, row.file, row.added_at) == (600, "Olga", "bank.jsonl", record.at)
    assert list_banks(watch) == [row]
    assert stat.S_IMODE((watch / "banks" / "docs").stat().st_mode) == 0o700


def test_without_banks_there_are_none(watch: Path) -> None:
    assert (list_banks(watch), read_banks(watch)) == ([], [])


def test_only_an_owner_adds_or_removes_a_bank(watch: Path, file: Path) -> None:
    for role in ("operator", "auditor", "Owner", ""):
        with pytest.raises(UsageError):
            add(watch, file, role=role)
    add(watch, file)
    with pytest.raises(UsageError):
        remove_bank(watch, "docs", by="Otto", role="operator", reason="no need")
    assert len(read_audit(watch)) == 1


def test_what_is_refused_leaves_nothing_behind(watch: Path, tmp_path: Path, real_texts: Sequence[str]) -> None:
    with pytest.raises(DataError):
        add(watch, file_of(tmp_path, real_texts[:400]))
    assert not watch.exists()


@pytest.mark.parametrize("name", ["", ".", "..", "../docs", "a/b", "Docs", "-x", "a b", "ä", "x" * 65, "docs\n"])
def test_names_that_are_none(watch: Path, file: Path, name: str) -> None:
    with pytest.raises(UsageError):
        add(watch, file, name)
    with pytest.raises(UsageError):
        remove_bank(watch, name, by="Olga", role="owner", reason="no need")
    assert not watch.exists() or not (watch / "audit.jsonl").exists()


@pytest.mark.parametrize("split", ["", "train\n", "x" * 65])
def test_splits_that_are_none(watch: Path, file: Path, split: str) -> None:
    with pytest.raises(UsageError):
        add(watch, file, split=split)


def test_a_name_stays_that_of_its_questions(watch: Path, file: Path, tmp_path: Path, real_texts: Sequence[str]) -> None:
    add(watch, file)
    with pytest.raises(UsageError, match="already"):
        add(watch, file)
    remove_bank(watch, "docs", by="Olga", role="owner", reason="no need")
    other = file_of(tmp_path, real_texts[100:700], "other.jsonl")
    with pytest.raises(UsageError, match="other questions"):
        add(watch, other)
    add(watch, file)
    assert [row.name for row in list_banks(watch)] == ["docs"]


def test_a_removed_bank_is_gone_and_the_log_keeps_both_acts(watch: Path, file: Path) -> None:
    add(watch, file)
    remove_bank(watch, "docs", by="Otto", role="owner", reason="no need", proof="the gateway's secret")
    assert list_banks(watch) == []
    assert not (watch / "banks" / "docs").exists()
    assert [(record.act, record.by) for record in read_audit(watch)] == [(ADDED, "Olga"), (REMOVED, "Otto")]
    assert audit_problems(watch) == []
    with pytest.raises(UsageError, match="no bank"):
        remove_bank(watch, "docs", by="Otto", role="owner", reason="no need")


def test_the_nearest_name_is_told(watch: Path, file: Path) -> None:
    add(watch, file)
    with pytest.raises(UsageError, match="Did you mean docs"):
        bank_named(watch, "dosc")


def test_a_bank_that_the_log_does_not_have_is_not_read(watch: Path, file: Path) -> None:
    add(watch, file)
    shutil.copytree(watch / "banks" / "docs", watch / "banks" / "by-hand")
    with pytest.raises(StoreError, match="by-hand"):
        read_banks(watch)
    shutil.rmtree(watch / "banks" / "by-hand")
    assert len(read_banks(watch)) == 1
    (watch / "audit.jsonl").unlink()
    with pytest.raises(StoreError, match="docs"):
        read_banks(watch)


def test_questions_that_were_changed_by_hand_are_not_read(watch: Path, file: Path) -> None:
    add(watch, file)
    path = watch / "banks" / "docs" / "questions.parquet"
    texts = pq.read_table(path)["question"].to_pylist()
    pq.write_table(pa.table({"question": [*texts[:-1], "Who asked for the rota of the night shift?"]}), path)
    with pytest.raises(StoreError, match="not those that were added"):
        read_banks(watch)
    path.write_bytes(b"nothing")
    with pytest.raises(StoreError, match="cannot be read"):
        read_banks(watch)


def test_what_is_known_of_a_bank_cannot_be_changed_by_hand(watch: Path, file: Path) -> None:
    add(watch, file, split="test")
    path = watch / "banks" / "docs" / "bank.json"
    path.write_text(path.read_text().replace('"test"', '"train"'))
    with pytest.raises(StoreError, match="audit log"):
        read_banks(watch)


def test_who_added_a_bank_cannot_be_changed_by_hand(watch: Path, file: Path) -> None:
    add(watch, file)
    log = watch / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b"Olga", b"Otto"))
    assert audit_problems(watch) == []  # it is the last record: none has its digest
    with pytest.raises(StoreError, match="audit log"):
        list_banks(watch)


def test_an_act_that_a_kill_left_half_done_is_finished_by_giving_it_again(watch: Path, file: Path) -> None:
    add(watch, file)
    shutil.rmtree(watch / "banks" / "docs")  # as if the log had been written, and the folder not put in its place
    assert list_banks(watch) == []
    assert add(watch, file).record.index == 1
    assert len(read_banks(watch)) == 1


def test_prints_are_kept_for_each_epoch_and_are_those_of_the_questions(watch: Path, file: Path) -> None:
    add(watch, file)
    banks = read_banks(watch)
    keys = [Prints(SECRETS, "2026q4"), Prints(SECRETS, "2027q1")]
    made = printed_banks(watch, banks, keys)
    kept = printed_banks(watch, banks, keys)
    assert [each.print_key_id for each in kept] == [each.print_key_id for each in keys]
    assert len(list((watch / "banks" / "docs" / "prints").iterdir())) == 2
    for one, other, fresh in zip(made, kept, [BankPrints.of(banks[0], each) for each in keys], strict=True):
        for each in (one, other):
            assert each.bank == "docs"
            assert each.prompt_prints.equals(fresh.prompt_prints)
            assert np.array_equal(each.sketches, fresh.sketches)
            assert np.array_equal(each.least, fresh.least)


def test_kept_prints_that_are_damaged_or_of_other_questions_are_made_again(watch: Path, file: Path) -> None:
    add(watch, file)
    banks, keys = read_banks(watch), [Prints(SECRETS, "2026q4")]
    (made,) = printed_banks(watch, banks, keys)
    (path,) = (watch / "banks" / "docs" / "prints").iterdir()
    other = pq.read_table(path).slice(1).replace_schema_metadata({"stillroom.bank": "sha256:00"})
    path.write_bytes(b"")
    assert printed_banks(watch, banks, keys)[0].prompt_prints.equals(made.prompt_prints)
    pq.write_table(other, path)
    assert printed_banks(watch, banks, keys)[0].prompt_prints.equals(made.prompt_prints)


def test_keys_are_those_of_this_gateway_alone() -> None:
    mine, later = Prints(SECRETS, "2026q4"), Prints(SECRETS, "2027q1")
    others = Prints(Secrets(b"x" * 32), "2026q4")
    found = keys_of(SECRETS, [later.print_key_id, None, "", "2026q4", others.print_key_id, *[mine.print_key_id] * 3])
    assert [each.print_key_id for each in found] == [mine.print_key_id, later.print_key_id]


@pytest.mark.parametrize("name", ["questions.parquet", "bank.json", "../../audit.jsonl", "prints/KEYS.parquet"])
def test_a_disk_s_fault_gives_an_error_or_the_same_bank(watch: Path, file: Path, name: str) -> None:
    add(watch, file)
    keys = [Prints(SECRETS, "2026q4")]
    banks = read_banks(watch)
    (right,) = printed_banks(watch, banks, keys)
    path = watch / "banks" / "docs" / name.replace("KEYS", keys[0].print_key_id)
    whole, chance = path.read_bytes(), np.random.default_rng(4)
    for _ in range(12):
        damaged = bytearray(whole)
        for at in chance.integers(0, len(whole), 3):
            damaged[at] = chance.integers(0, 256)
        path.write_bytes(damaged)
        try:
            found = read_banks(watch)
        except StoreError:
            assert name != "prints/KEYS.parquet"
        else:
            assert found == banks
            (printed,) = printed_banks(watch, found, keys)
            assert printed.prompt_prints.equals(right.prompt_prints)
            assert np.array_equal(printed.sketches, right.sketches)
        path.write_bytes(whole)
    assert read_banks(watch) == banks
