"""A bundle holds on another checkout, and nothing of it can be changed unseen: by strangers, nor by its owner."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.escrowed_calls import escrowing_gateway
from tests.probe.probes import WORDS, ask, sealed
from tests.store.authority import Authority, answering

import stillroom
from stillroom.base.canonical import digest_bytes
from stillroom.base.errors import DataError
from stillroom.base.signatures import PublicKeys
from stillroom.escrow_pairs import gather_pairs
from stillroom.probe import bounded
from stillroom.probe.bundle import BUNDLE_TYPE, MANIFEST, SIGNATURE, Manifest, described, paths_in
from stillroom.probe.opening import Opened, open_plan
from stillroom.probe.pairs import COUNTS_FILE, write_gathered
from stillroom.probe.plan import read_plan
from stillroom.probe.planning import Planned, Wish, make_plan
from stillroom.probe.recorded import make_pack
from stillroom.probe.signer import Signer, own_signer
from stillroom.probe.stamping import stamp_log
from stillroom.probe.statement import read_statement, statement_bytes
from stillroom.probe.verification import Verified, verify_bundle
from stillroom.serve.meter.time_stamps import stamp_log as stamp_calls
from stillroom.store.files import read_object, write_json
from stillroom.store.siblings import SCHEMAS, Answer, Opening, Pair, read_rows, write_rows

DEEP = '[{"role": "user", "content": ' + "[" * 1000 + "]" * 1000 + "}]"


@dataclass
class Made:
    probe: Path
    planned: Planned
    answers: Path
    opened: Opened
    signer: Signer
    keys: PublicKeys
    authority: Authority
    others: list[bytes]
    """What another customer was asked and told."""


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """By a gateway's key, with recorded coins, stamped before the asking and after the opening."""
    folder = tmp_path_factory.mktemp("gateway")
    with escrowing_gateway(folder) as gateway:
        for number in range(24):
            first, second = (" ".join(WORDS[number * step * place % 12] for place in range(30)) for step in (5, 7))
            gateway.serve(f"Question {number}", first, second, 1 if number * 7 % 5 < 2 else 0)
            gateway.serve(f"Private {number}", f"My own {number}", f"Your own {number}", 0, account="acct_2")
    probe, authority = folder / "probe", Authority()
    with answering(authority) as url:
        stamp_calls(gateway.state / "calls", url)
    write_gathered(probe, gather_pairs(gateway.state, gateway.settings, ["acct_1"], "Olga"))
    signer = Signer(gateway.keyring.active.sign, gateway.keyring.jwks())
    with answering(authority) as url:
        planned = make_plan(probe, Wish("first", "abacus-7b", samples=1), signer, "Olga")
        stamp_log(probe, url)
        make_pack(probe, "first")
        answers = ask(planned.pack, probe, folder / "answers", samples=1)
        opened = open_plan(probe, "first", answers, signer, "Olga", tsa=url)
    others = [b"acct_2", b"Private", b"My own", b"Your own"]  # no base64 says so by chance
    return Made(probe, planned, answers, opened, signer, gateway.keyring.public_keys(), authority, others)


@pytest.fixture
def bundle(made: Made, tmp_path: Path) -> Path:
    return Path(shutil.copytree(made.opened.bundle, tmp_path / "bundle"))


def signed_again(bundle: Path, signer: Signer) -> Path:
    """As its owner could, who has changed something in it and has the key."""
    old = Manifest.model_validate_json((bundle / MANIFEST).read_bytes())
    paths = [path for path in paths_in(bundle) if path not in (MANIFEST, SIGNATURE)]
    files = {path: described((bundle / path).read_bytes()) for path in paths}
    plan = read_plan((bundle / "plan.json").read_bytes(), "plan.json").digest
    data = old.model_copy(update={"files": files, "plan_digest": plan}).to_bytes()
    (bundle / MANIFEST).write_bytes(data)
    claims = {"manifest": digest_bytes(data), "plan": plan, "iat": old.made_at // 1_000_000}
    (bundle / SIGNATURE).write_text(signer.sign(BUNDLE_TYPE, claims))
    return bundle


def told(verified: Verified) -> str:
    return " ".join(verified.problems)


def test_all_of_a_bundle_holds(made: Made, bundle: Path) -> None:
    verified = verify_bundle(
        bundle, made.keys, roots=[made.authority.root], answers=made.answers, pack=made.planned.pack
    )
    assert verified.problems == []
    assert [note.partition(" by ")[0] for note in verified.notes] == ["All rows of the call log stood there"]
    assert verified.digest == made.opened.digest
    assert verified.signed_by == made.signer.keys["keys"][0]["kid"]
    statement = verified.statement
    assert statement is not None
    assert statement == made.opened.statement
    assert statement.is_positive
    assert statement.plan.grade == "recorded"
    assert statement.plan_stamped_at is not None
    assert statement.plan_stamped_at <= statement.asking.first_at + 1_000_000


def test_without_the_owners_keys_it_says_what_was_not_checked(bundle: Path) -> None:
    verified = verify_bundle(bundle)
    assert verified.problems == []
    assert "the bundle's own" in verified.notes[0]
    assert "no certificates were given" in verified.notes[1]


def test_it_holds_on_another_checkout(bundle: Path, tmp_path: Path) -> None:
    """A copy of the package elsewhere, in a process of its own, which knows nothing of the first one."""
    source = Path(stillroom.__file__).parent
    checkout = tmp_path / "another" / "src"
    shutil.copytree(source, checkout / "stillroom", ignore=shutil.ignore_patterns("models", "__pycache__", "*.parquet"))
    code = "import stillroom; print(stillroom.__file__); from stillroom.cli import main; main()"
    env = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(tmp_path)}
    ended = subprocess.run(
        [sys.executable, "-c", code, "probe", "verify", str(bundle), "--json"],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        check=False,
    )
    place, _, said = ended.stdout.partition(b"\n")
    assert ended.returncode == 0, ended.stderr.decode()
    assert place.decode().startswith(str(checkout))
    assert orjson.loads(said)["problems"] == []


def test_any_changed_byte_of_any_file_is_found(bundle: Path) -> None:
    whole = {path: (bundle / path).read_bytes() for path in paths_in(bundle)}
    assert len([path for path in whole if path.endswith(".tsr")]) == 2
    for path, data in whole.items():
        every = 3 if path == SIGNATURE else max(1, len(data) // 16)
        for place in {*range(0, len(data), every), len(data) - 1}:
            changed = bytearray(data)
            changed[place] ^= 1 << (place % 8)
            (bundle / path).write_bytes(changed)
            assert is_found(bundle), f"{path}, byte {place}"
        (bundle / path).write_bytes(data)
    assert verify_bundle(bundle).problems == []


def is_found(bundle: Path) -> bool:
    try:
        return bool(verify_bundle(bundle).problems)
    except DataError:
        return True


def test_files_that_are_cut_longer_missing_added_or_linked_are_found(bundle: Path, tmp_path: Path) -> None:
    whole = {path: (bundle / path).read_bytes() for path in paths_in(bundle)}
    for path, data in whole.items():
        for changed in (data[:-1], data + b"\n", b""):
            (bundle / path).write_bytes(changed)
            assert is_found(bundle), path
        (bundle / path).unlink()
        assert is_found(bundle), path
        (tmp_path / "aside").write_bytes(data)
        (bundle / path).symlink_to(tmp_path / "aside")
        assert is_found(bundle), path
        (bundle / path).unlink()
        (bundle / path).write_bytes(data)
    for extra in ("extra.txt", "stamps/00000009-" + "0" * 64 + ".tsr", "deep/er/file"):
        (bundle / extra).parent.mkdir(parents=True, exist_ok=True)
        (bundle / extra).write_bytes(b"")
        assert "not in its manifest" in told(verify_bundle(bundle))
        (bundle / extra).unlink()
    assert verify_bundle(bundle).problems == []


def test_signed_by_somebody_else(made: Made, bundle: Path, tmp_path: Path) -> None:
    stranger = own_signer(tmp_path)
    (bundle / "keys.json").write_bytes(orjson.dumps(stranger.keys))
    signed_again(bundle, stranger)
    assert "not among the owner's" in told(verify_bundle(bundle, made.keys))
    assert "Record 0 of the log" in told(verify_bundle(bundle))


def rewritten(path: str, kind: type[Any], change: Callable[[list[Any]], list[Any]]) -> Callable[[Path], None]:
    def do(bundle: Path) -> None:
        write_rows(bundle / path, kind, change(read_rows(bundle / path, kind)))

    return do


def other_statement(**change: Any) -> Callable[[Path], None]:
    def do(bundle: Path) -> None:
        said = read_statement((bundle / "statement.json").read_bytes(), "statement.json")
        (bundle / "statement.json").write_bytes(statement_bytes(replace(said, **change)))

    return do


def other_plan(**change: Any) -> Callable[[Path], None]:
    def do(bundle: Path) -> None:
        plan = read_plan((bundle / "plan.json").read_bytes(), "plan.json")
        (bundle / "plan.json").write_bytes(plan.model_copy(update=change).to_bytes())

    return do


def without_line(path: str, number: int) -> Callable[[Path], None]:
    def do(bundle: Path) -> None:
        lines = (bundle / path).read_bytes().splitlines(keepends=True)
        (bundle / path).write_bytes(b"".join(lines[:number] + lines[number + 1 :]))

    return do


def turned(rows: list[Opening]) -> list[Opening]:
    return [replace(rows[0], coin=0 if rows[0].coin else 1, served=rows[0].sealed, sealed=rows[0].served), *rows[1:]]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (rewritten("openings.parquet", Opening, turned), "not those that the plan committed to"),
        (rewritten("pairs.parquet", Pair, lambda rows: rows[1:]), "not those of the plan"),
        (
            rewritten("pairs.parquet", Pair, lambda rows: [replace(rows[0], first="another"), *rows[1:]]),
            "not those of the plan",
        ),
        (
            rewritten("pairs.parquet", Pair, lambda rows: [replace(rows[0], messages=DEEP), *rows[1:]]),
            "not those of the plan",
        ),
        (
            rewritten("answers.parquet", Answer, lambda rows: [replace(rows[0], text="another"), *rows[1:]]),
            "not those that the log recorded before the coins were opened",
        ),
        (rewritten("answers.parquet", Answer, lambda rows: rows[1:]), "not those that the log recorded"),
        (other_statement(is_positive=False), "not the one that the log recorded when the coins were opened"),
        (other_plan(level=0.2), "The plan is not in the log"),
        (without_line("plans.jsonl", 0), "does not follow the line before it"),
        (without_line("plans.jsonl", 2), "It has to say: answers received, opened"),
        (without_line("calls.jsonl", 3), "has no row of the call log"),
        (lambda bundle: (bundle / "report.html").write_text("All is well."), "not the page of its statement"),
        (lambda bundle: (bundle / "opening-salt").write_bytes(b"salt"), "not those that the plan committed to"),
    ],
)
def test_what_the_owner_changes_afterwards_is_found_though_it_is_signed(
    made: Made, bundle: Path, change: Callable[[Path], object], problem: str
) -> None:
    change(bundle)
    assert problem in told(verify_bundle(signed_again(bundle, made.signer), made.keys))


def never_opened(probe: Path, copy: Path) -> None:
    """What was gathered, by an owner who hides what was opened, in the escrow's list too."""
    shutil.copytree(probe, copy, ignore=shutil.ignore_patterns("plans*", "bundles", "spent.jsonl", "stamps"))
    write_json(copy / COUNTS_FILE, {**read_object(copy / COUNTS_FILE), "escrow": None})


def test_a_log_with_a_plan_that_is_younger_than_the_answers_is_refused(made: Made, tmp_path: Path) -> None:
    """Answers of an earlier asking, and a log in which the owner signs whatever is needed but the time."""
    probe = tmp_path / "probe"
    never_opened(made.probe, probe)
    planned = make_plan(probe, Wish("late", "abacus-7b", samples=1), made.signer, "Olga")
    answers = ask(planned.pack, probe, tmp_path / "answers", at=planned.record.at - 1, samples=1)
    with pytest.raises(DataError, match="recorded after the asking"):
        open_plan(probe, "late", answers, made.signer, "Olga")
    with pytest.MonkeyPatch.context() as patch:  # an owner whose copy of the program does not look
        patch.setattr("stillroom.probe.opening.received_problems", lambda *_: ())
        opened = open_plan(probe, "late", answers, made.signer, "Olga")
    assert "recorded after the asking" in told(verify_bundle(opened.bundle, made.keys))


def test_a_log_that_was_written_anew_does_not_go_on_from_the_pack(made: Made, tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    never_opened(made.probe, probe)
    planned = make_plan(probe, Wish("first", "abacus-7b", samples=1), made.signer, "Olga")
    answers = ask(planned.pack, probe, tmp_path / "answers", samples=1)
    bundle = open_plan(probe, "first", answers, made.signer, "Olga").bundle
    verified = verify_bundle(bundle, made.keys, pack=made.planned.pack)
    assert "was written anew" in told(verified)
    assert "The plan in" in told(verified)
    assert verify_bundle(bundle, made.keys, pack=planned.pack).problems == []


def test_a_neutral_party_sees_that_other_answers_were_used(made: Made, bundle: Path, tmp_path: Path) -> None:
    mine = ask(made.planned.pack, made.probe, tmp_path / "mine", sealed, samples=1)
    assert "not the ones that were used" in told(verify_bundle(bundle, made.keys, answers=mine))


def test_time_stamps_have_to_trace_back_to_the_roots_given(made: Made, bundle: Path) -> None:
    assert "does not trace back" in told(verify_bundle(bundle, made.keys, roots=[Authority().root]))


def test_of_other_customers_nothing_is_in_a_bundle(made: Made) -> None:
    for path in paths_in(made.opened.bundle):
        data = (made.opened.bundle / path).read_bytes()
        if path.endswith(".parquet"):
            data = repr(pq.read_table(made.opened.bundle / path).to_pylist()).encode()
        assert not any(text in data for text in made.others), path
        assert b"signing-key" not in data


def test_tables_that_claim_more_than_any_memory_are_refused(
    bundle: Path, made: Made, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A few kilobytes that would be a gigabyte: one long text in a dictionary, many times over."""
    columns: dict[str, Any] = {name: pa.array(["a"] * 1000) for name in SCHEMAS[Pair].names}
    columns["first"] = pa.array(["a" * 100_000] * 1000).dictionary_encode()
    table = pa.table(columns)
    pq.write_table(table, bundle / "pairs.parquet", compression="zstd")
    assert (bundle / "pairs.parquet").stat().st_size < 100_000
    monkeypatch.setattr(bounded, "MOST_TABLE_BYTES", 50 << 20)
    verified = verify_bundle(signed_again(bundle, made.signer), made.keys)
    assert "holds more than" in told(verified) or "says that it holds" in told(verified)


@pytest.mark.parametrize("junk", [b"{}", b"\xff\xfe", b"9" * 5000])
def test_files_of_junk_are_told_and_break_nothing(made: Made, tmp_path: Path, junk: bytes) -> None:
    for path in paths_in(made.opened.bundle):
        bundle = Path(shutil.copytree(made.opened.bundle, tmp_path / "bundle", dirs_exist_ok=True))
        (bundle / path).write_bytes(junk)
        if path not in (MANIFEST, SIGNATURE, "plan.json"):
            signed_again(bundle, made.signer)
        try:
            assert verify_bundle(bundle, None if path == "keys.json" else made.keys).problems, path
        except DataError:
            assert path == MANIFEST


def test_what_is_no_bundle_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no folder"):
        verify_bundle(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"manifest\.json"):
        verify_bundle(tmp_path)


@pytest.mark.parametrize(
    ("path", "kind", "column", "value", "problem"),
    [
        ("openings.parquet", Opening, "coin", 7, "row 1: `coin` is 7"),
        ("openings.parquet", Opening, "coin_from", "heaven", "row 1: `coin_from` is 'heaven'"),
        ("openings.parquet", Opening, "account", None, "row 1: `account` is None"),
        ("answers.parquet", Answer, "question_id", None, "row 1: `question_id` is None"),
        ("answers.parquet", Answer, "asked_at", -(2**62), "recorded after the asking"),
        ("answers.parquet", Answer, "sample", -1, "numbers that a plan of 1 samples"),
        ("pairs.parquet", Pair, "messages", "[1]", "not those of the plan"),
    ],
)
def test_values_that_stand_for_nothing(
    made: Made, bundle: Path, path: str, kind: type[Any], column: str, value: Any, problem: str
) -> None:
    table = pq.read_table(bundle / path)
    values = [value, *table.column(column).to_pylist()[1:]]
    place = table.column_names.index(column)
    pq.write_table(table.set_column(place, column, pa.array(values, SCHEMAS[kind].field(column).type)), bundle / path)
    with pytest.MonkeyPatch.context() as patch:  # as if the log had recorded these
        patch.setattr("stillroom.probe.verification.log_problems", lambda *_: ())
        assert problem in told(verify_bundle(signed_again(bundle, made.signer), made.keys))


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", '"\\ud800"', "[" * 3000 + "]" * 3000])
@pytest.mark.parametrize("path", ["plan.json", "statement.json", "plans.jsonl"])
def test_json_that_is_none(made: Made, bundle: Path, path: str, number: str) -> None:
    data = (bundle / path).read_bytes()
    assert b'"level":0.05' in data
    (bundle / path).write_bytes(data.replace(b'"level":0.05', b'"level":' + number.encode(), 1))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tests.probe.test_verification.read_plan", lambda *_: made.planned.plan)
        assert verify_bundle(signed_again(bundle, made.signer), made.keys).problems
