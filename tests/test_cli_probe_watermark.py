"""`stillroom probe watermark`: from a gateway's state to a folder that others check, and what it refuses."""

from __future__ import annotations

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from tests.probe.watermark.marked_words import classroom, text
from typer.testing import CliRunner, Result

from stillroom.classroom.models import teacher_folder
from stillroom.cli_probe_watermark import watermark
from stillroom.serve.accounts.accounts import create_account
from stillroom.serve.accounts.admins import THE_MACHINE
from stillroom.serve.accounts.events import Change, changing
from stillroom.serve.accounts.organisations import create_organisation
from stillroom.serve.database.engine import open_database
from stillroom.serve.database.upgrade import upgrade
from stillroom.serve.keyring import Keyring
from stillroom.store.secrets import Secrets
from stillroom.store.siblings import Answer, Pair, messages_json, question_id_of, write_rows
from stillroom.text.mark_commitments import RECORD_TYPE, Marking, commit

SETTINGS = """\
owner: Abacus Models
state: state
models:
  - {name: abacus, folder: classroom, watermark: {strength: 2, share: 0.25}}
  - {name: plain, folder: classroom}
"""
QUESTIONS = 12


def stillroom(*given: object) -> Result:
    return CliRunner().invoke(watermark, [str(word) for word in given], env={"COLUMNS": "300", "NO_COLOR": "1"})


def said(*given: object) -> str:
    result = stillroom(*given)
    assert result.exit_code == 0, result.output
    return " ".join(result.stdout.split())


def refused(*given: object, code: int = 1) -> str:
    result = stillroom(*given)
    assert result.exit_code == code, result.output
    return " ".join(result.output.split())


class Owner:
    """A gateway's state, as if two of its three accounts had called.

    Keys of marks follow from the secret and the accounts' ids. Were these others each time, some innocent would suit
    its key, once in a few hundred runs.
    """

    def __init__(self, folder: Path) -> None:
        self.config = folder / "gateway.yaml"
        self.config.write_text(SETTINGS)
        state = folder / "state"
        state.mkdir()
        (state / "secret").write_bytes(bytes(range(32)))
        (state / "secret").chmod(0o600)
        secrets = Secrets.open(state)
        keyring = Keyring.open(state)
        engine = open_database(f"sqlite:///{state / 'gateway.db'}")
        upgrade(engine)
        numbers = count(1)
        with pytest.MonkeyPatch.context() as patch, changing(engine, "test") as change:
            patch.setattr(Change, "new_id", lambda _, kind: f"{kind}_{next(numbers)}")
            organisation = create_organisation(change, "Acme")
            self.accounts = [
                create_account(change, organisation, THE_MACHINE, {"name": name}, terms_version=None)
                for name in ("one", "two", "three")
            ]
        engine.dispose()
        self.markings = [Marking("abacus", account, 0.25, 2, classroom().digest) for account in self.accounts]
        self.marks = [marking.mark(secrets) for marking in self.markings]
        for marking, mark in list(zip(self.markings, self.marks, strict=True))[:2]:
            commitment = marking.commitment(mark.key)
            commit(state, commitment, 1_800_000_000_000_000, lambda record: keyring.active.sign(RECORD_TYPE, record))
        self.jwks = folder / "jwks.json"
        self.jwks.write_text(json.dumps(keyring.jwks()))
        self.probe = folder / "probe"
        self.probe.mkdir()
        asked = [[{"role": "user", "content": f"Question {number}"}] for number in range(QUESTIONS)]
        self.questions = [question_id_of(messages) for messages in asked]
        pairs = [
            Pair(f"p{number}", question_id_of(messages), messages_json(messages), "a", "b")
            for number, messages in enumerate(asked)
        ]
        write_rows(self.probe / "pairs.parquet", Pair, pairs)

    def answers(self, folder: Path, whose: int | None, seed: int = 0) -> Path:
        mark = None if whose is None else self.marks[whose]
        folder.mkdir()
        rows = [Answer(each, 0, text(60, 100 * seed + n, mark), "stop") for n, each in enumerate(self.questions)]
        write_rows(folder / "answers.parquet", Answer, rows)
        return folder

    def test(self, answers: Path, *more: object) -> tuple[object, ...]:
        named = ("--config", self.config, "--model", "abacus", "--suspect", "crow-7b")
        return ("radioactivity", self.probe, "--answers", answers, *named, *more)


@pytest.fixture(scope="module")
def owner(tmp_path_factory: pytest.TempPathFactory) -> Owner:
    return Owner(tmp_path_factory.mktemp("owner"))


@pytest.fixture(scope="module")
def evidence(owner: Owner, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evidence")
    said(*owner.test(owner.answers(folder / "answers", 1), "--out", folder / "evidence", "--reveal"))
    return folder / "evidence"


def test_who_learned_is_found_and_whose_replies_they_were(owner: Owner, tmp_path: Path) -> None:
    told = said(*owner.test(owner.answers(tmp_path / "answers", 1)))
    assert f"Under the key of {owner.accounts[1]}" in told
    assert "times the best of 2 random keys on the same text: p = 0.0001." in told  # the third was served nothing
    assert "The key was committed to on 2027-01-15 08:00 UTC." in told
    as_json = json.loads(stillroom(*owner.test(tmp_path / "answers", "--json")).stdout)
    assert (as_json["p_value"], as_json["accounts"]) == (0.0001, 2)
    assert as_json["scores"][0]["account"] == owner.accounts[1]
    assert as_json["scores"][1]["p_value"] > 0.01
    assert as_json["null_95"] < as_json["null_99"] < as_json["scores"][0]["z"]


def test_who_did_not_is_not(owner: Owner, tmp_path: Path) -> None:
    unmarked = owner.answers(tmp_path / "unmarked", None, seed=7)
    for seed in (1, 2):
        answers = owner.answers(tmp_path / f"answers {seed}", None, seed)
        for more in ((), ("--unmarked", unmarked)):
            assert json.loads(stillroom(*owner.test(answers, *more, "--json")).stdout)["p_value"] > 0.01
    marked = owner.answers(tmp_path / "marked", 0)
    told = said(*owner.test(marked, "--unmarked", unmarked))
    assert "p = 0.0001" in told


def test_a_text_itself(owner: Owner, tmp_path: Path) -> None:
    (tmp_path / "essay.txt").write_text(text(300, 5, owner.marks[0]))
    named = ("--config", owner.config, "--model", "abacus")
    assert f"Under the key of {owner.accounts[0]}" in said("detect", tmp_path / "essay.txt", *named)
    only_other = ("--account", owner.accounts[1], "--json")
    assert json.loads(stillroom("detect", tmp_path / "essay.txt", *named, *only_other).stdout)["p_value"] > 0.01
    (tmp_path / "bytes").write_bytes(b"\xff\xfe\xfd")
    assert "is no UTF-8 text: invalid start byte, byte 0" in refused("detect", tmp_path / "bytes", *named)
    (tmp_path / "short").write_text("cats")
    assert "50 are the fewest" in refused("detect", tmp_path / "short", *named)


class TestEvidence:
    def test_anyone_computes_it_again(self, owner: Owner, evidence: Path) -> None:
        told = said("verify", evidence, "--tokenizer", teacher_folder(), "--keys", owner.jwks)
        assert told == "What was looked at is as the folder says. It says of crow-7b: p = 0.0001."
        told = said("verify", evidence)
        assert "Not looked at: The figures: give --tokenizer" in told
        assert "Not looked at: Whose the keys in keys.json are" in told

    def test_of_other_customers_it_holds_nothing(self, owner: Owner, evidence: Path) -> None:
        everything = b"".join(path.read_bytes() for path in evidence.iterdir())
        assert owner.accounts[1].encode() in everything
        for other in (0, 2):
            assert owner.accounts[other].encode() not in everything
            assert owner.marks[other].key.hex().encode() not in everything

    def test_a_changed_byte_in_any_file_is_found(self, owner: Owner, evidence: Path) -> None:
        for path in sorted(evidence.iterdir()):
            whole = path.read_bytes()
            for place in {0, len(whole) // 3, len(whole) // 2, len(whole) - 2}:
                path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
                result = stillroom("verify", evidence, "--keys", owner.jwks)
                # keys.json is not looked at where the reader has the keys from elsewhere.
                assert (result.exit_code == 0) == (path.name == "keys.json"), (path.name, place, result.output)
            path.write_bytes(whole)
        (evidence / "more.txt").write_text("x")
        assert "more.txt is in the folder, and not in result.json." in refused("verify", evidence)
        (evidence / "more.txt").unlink()
        whole = (evidence / "answers.parquet").read_bytes()
        (evidence / "answers.parquet").unlink()
        assert "answers.parquet is missing." in refused("verify", evidence)
        (evidence / "answers.parquet").write_bytes(whole)
        said("verify", evidence)

    def test_another_tokenizer_and_other_keys_are_refused(
        self, evidence: Path, tiny_model: Path, tmp_path: Path
    ) -> None:
        assert "and the replies were marked with" in refused("verify", evidence, "--tokenizer", tiny_model)
        Keyring.open(tmp_path / "other")
        (tmp_path / "jwks.json").write_text(json.dumps(Keyring.open(tmp_path / "other").jwks()))
        assert "The result's signature" in refused("verify", evidence, "--keys", tmp_path / "jwks.json")

    def test_another_key_or_another_figure_though_signed_is_found(self, owner: Owner, evidence: Path) -> None:
        from stillroom.base.canonical import digest_bytes
        from stillroom.probe.watermark.evidence import RESULT_TYPE

        keyring = Keyring.open(owner.config.parent / "state")
        before = {path.name: path.read_bytes() for path in evidence.iterdir()}
        for name, value, words in (
            ("key", owner.marks[0].key.hex(), "The key is not the one that was committed to."),
            ("p_value", 0.5, "Computed again, z is"),
            ("committed_at", 5, "at another time than the result says"),
            ("commitment", 99, "The key is not the one that was committed to."),
        ):
            result = json.loads(before["result.json"])
            if name == "key":
                (evidence / "revealed.json").write_text(json.dumps({"key": value}))
                result["files"]["revealed.json"] = digest_bytes((evidence / "revealed.json").read_bytes())
            else:
                result[name] = value
            (evidence / "result.json").write_text(json.dumps(result))
            (evidence / "result.jws").write_text(keyring.active.sign(RESULT_TYPE, result))
            assert words in refused("verify", evidence, "--tokenizer", teacher_folder(), "--keys", owner.jwks)
            for file, data in before.items():
                (evidence / file).write_bytes(data)

    def test_the_key_is_shown_only_where_the_owner_says_so(self, owner: Owner, tmp_path: Path) -> None:
        answers = owner.answers(tmp_path / "answers", 0)
        said(*owner.test(answers, "--out", tmp_path / "evidence"))
        everything = b"".join(path.read_bytes() for path in (tmp_path / "evidence").iterdir())
        assert owner.marks[0].key.hex().encode() not in everything
        assert "Not looked at: The key is not shown" in said("verify", tmp_path / "evidence")
        assert "is there already" in refused(*owner.test(answers, "--out", tmp_path / "evidence"), code=2)
        assert "Give --out, too" in refused(*owner.test(answers, "--reveal"), code=2)


def test_what_was_not_committed_to_is_no_key(owner: Owner, tmp_path: Path) -> None:
    answers = owner.answers(tmp_path / "answers", 2)
    assert "No key was committed to" in refused(*owner.test(answers, "--account", owner.accounts[2]))
    for changed in (
        SETTINGS.replace("strength: 2", "strength: 3"),
        SETTINGS.replace("share: 0.25", "share: 0.5"),
        SETTINGS.replace("share: 0.25", "per: owner"),
    ):
        other = owner.config.with_name("changed.yaml")
        other.write_text(changed)
        command = ("radioactivity", owner.probe, "--answers", answers, "--config", other, "--suspect", "crow")
        assert "No key was committed to" in refused(*command, "--model", "abacus")
        assert "There is no marked model plain" in refused(*command, "--model", "plain", code=2)
    other.write_text(SETTINGS.replace("share: 0.25", "per: owner"))
    assert "Leave --account out" in refused(*command, "--model", "abacus", "--account", "acct_1", code=2)


def test_commitments_are_listed_and_an_altered_file_is_told(owner: Owner, tmp_path: Path) -> None:
    told = said("commitments", "--config", owner.config)
    assert "2 commitments, each as it was written." in told
    assert "2027-01-15 08:00:00 UTC" in told
    records = json.loads(stillroom("commitments", "--config", owner.config, "--json").stdout)["records"]
    assert [record["index"] for record in records] == [0, 1]
    path = owner.config.parent / "state" / "watermark" / "commitments.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole.splitlines(keepends=True)[0].replace(b'"at":18', b'"at":17'))
    assert "Commitment 0 is not what was signed." in refused("commitments", "--config", owner.config)
    path.write_bytes(whole)
    (tmp_path / "gateway.yaml").write_text(SETTINGS)
    assert "0 commitments" in said("commitments", "--config", tmp_path / "gateway.yaml")


def test_what_is_missing_is_told_before_the_tokenizer_is_loaded(owner: Owner, tmp_path: Path) -> None:
    named = ("--config", owner.config, "--model", "abacus")
    told = [
        refused("detect", tmp_path / "no.txt", *named),
        refused(*owner.test(tmp_path / "nowhere")),
        refused("verify", tmp_path, "--tokenizer", teacher_folder()),
    ]
    for words, at in zip(
        told, ("no.txt cannot be read: No such file", "There is no folder", "result.json"), strict=True
    ):
        assert at in words
        assert "load tokenizer" not in words
    (tmp_path / "asked.json").write_text("{}")
    assert "has likelihoods and no answers" in refused(*owner.test(tmp_path))


def test_what_takes_long_says_where_it_is(owner: Owner, tmp_path: Path) -> None:
    words = refused(*owner.test(owner.answers(tmp_path / "answers", 0)), code=0)
    assert "load tokenizer: 1 of 1" in words
    assert "random keys: 19,998 of 19,998" in words  # of the two accounts whose keys were committed to


def test_the_owners_keys_are_taken_from_its_address(owner: Owner, tmp_path: Path) -> None:
    said(*owner.test(owner.answers(tmp_path / "answers", 0), "--out", tmp_path / "evidence", "--reveal"))
    serve = functools.partial(SimpleHTTPRequestHandler, directory=owner.config.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), serve) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"http://127.0.0.1:{server.server_port}/jwks.json"
        told = said("verify", tmp_path / "evidence", "--tokenizer", teacher_folder(), "--keys", address)
        server.shutdown()
    assert "What was looked at is as the folder says." in told
    assert "Not looked at" not in told
