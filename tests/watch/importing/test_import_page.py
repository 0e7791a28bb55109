"""docs/import.md: each mapping is one, each file is read with it, and every key and column is on the page."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stillroom.store.calls import CALLS, call_dataset
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints
from stillroom.watch.importing.importer import Imported, import_calls
from stillroom.watch.importing.lines import LONGEST_LINE
from stillroom.watch.importing.mapping import (
    NOT_KNOWN,
    AddressColumn,
    Columns,
    DurationColumn,
    ImportMapping,
    TimeColumn,
    load_mapping,
)

PAGE = (Path(__file__).parents[3] / "docs" / "import.md").read_text(encoding="utf-8")
FILES = dict(re.findall(r"`([\w.]+)`:\n\n```\w*\n(.*?)```\n", PAGE, re.DOTALL))
SECRETS = Secrets(bytes(32))
PRINTS = Prints(SECRETS, "2024q4")


def run(folder: Path, mapping: str, source: str) -> tuple[Imported, list[dict[str, Any]]]:
    encoding = "cp1252" if source == "calls.csv" else "utf-8"
    for name in (mapping, source):
        (folder / name).write_text(FILES[name], encoding="utf-8" if name == mapping else encoding)
    done = import_calls(folder / source, load_mapping(folder / mapping), folder / "out", SECRETS)
    manifest = json.loads(done.manifest.read_bytes())
    assert manifest["rows"] == manifest["calls"] + manifest["already_there"] + sum(
        [*manifest["left_out"].values(), *manifest["rejected"].values()]
    )
    return done, call_dataset(folder / "out").to_table().to_pylist()


def test_each_mapping_of_the_page(tmp_path: Path) -> None:
    mappings = [name for name in FILES if name.endswith(".yaml")]
    assert len(mappings) == 5
    for name in mappings:
        (tmp_path / name).write_text(FILES[name], encoding="utf-8")
        load_mapping(tmp_path / name)


def test_teams_as_organisations(tmp_path: Path) -> None:
    row = {"request_id": "1", "api_key": "h", "startTime": "2024-11-18T18:07:54Z", "call_type": "acompletion"}
    row["metadata"] = json.dumps({"user_api_key_team_alias": "acme", "user_api_key_user_id": "u"})
    (tmp_path / "spend.jsonl").write_text(json.dumps(row), encoding="utf-8")
    (tmp_path / "teams.yaml").write_text(FILES["teams.yaml"], encoding="utf-8")
    import_calls(tmp_path / "spend.jsonl", load_mapping(tmp_path / "teams.yaml"), tmp_path / "out", SECRETS)
    assert call_dataset(tmp_path / "out").to_table().column("organisation").to_pylist() == ["acme"]


def test_the_access_log(tmp_path: Path) -> None:
    done, (call,) = run(tmp_path, "access.yaml", "access.log")
    assert done.left_out == {"no call of a language model": 1, "turned away before a model was asked": 1}
    assert call["ip_print"] == PRINTS.address("192.0.2.17")
    told = {name: call[name] for name in ("account", "organisation", "route", "latency_us", "status", "agent")}
    assert told == {
        "account": "acct-7",
        "organisation": "account:acct-7",
        "route": "chat",
        "latency_us": 1_250_000,
        "status": "ok",
        "agent": "OpenAI/Python 1.51.0",
    }
    assert call["at"] == 1728889201000000  # 09:00:01 two hours east of Greenwich


def test_the_csv_file(tmp_path: Path) -> None:
    done, (first, second) = run(tmp_path, "calls.yaml", "calls.csv")
    assert done.left_out == {"not among `only`": 1}
    assert [(call["account"], call["organisation"]) for call in (first, second)] == [
        ("anna", "acme"),
        ("bert", "bert-gmbh"),
    ]
    assert [(call["prompt_tokens"], call["completion_tokens"]) for call in (first, second)] == [(None, 120), (None, 7)]
    assert (first["model"], first["route"], second["route"], first["status"]) == (
        "house-model",
        "chat",
        "completions",
        "ok",
    )
    assert (second["status"], first["latency_us"]) == ("ok", 2_000_000)
    assert first["at"] == 1728889201000000
    assert first["prompt_print"] == PRINTS.texts('Wie heißt "der Fluss" durch Köln?', None).prompt
    assert first["billing_print"] not in (None, second["billing_print"])
    assert done.unreadable == [{"column": "prompt_tokens", "problem": "it is no number", "values": 1, "first_row": 5}]


def test_the_json_file(tmp_path: Path) -> None:
    done, (call,) = run(tmp_path, "gateway.yaml", "gateway.jsonl")
    assert call["at"] == 1728889201250000
    assert (call["account"], call["model"], call["n"], call["turns"]) == ("acct-7", "m", 4, 1)
    assert (call["asks_logprobs"], call["asks_reasoning"], call["stream"]) == (True, False, False)
    assert call["key_id"].startswith("key-")
    assert call["tls_print"] == PRINTS.label("tls", "t13d1516h2")
    assert call["prompt_print"] == PRINTS.texts("Why?", None).prompt
    assert (call["permit_id"], call["user_print"]) == (None, None)
    assert done.never_seen == ["auth.agreement", "body.user", "headers.x-user"]


def test_every_key_is_on_the_page() -> None:
    keys = set(ImportMapping.model_fields)
    for model in (TimeColumn, DurationColumn, AddressColumn):
        keys |= {field.alias or name for name, field in model.model_fields.items()}
    for name in keys:
        assert re.search(rf"^\| `{name}` \|", PAGE, re.MULTILINE), name
    columns = re.findall(r"^\| ((?:`\w+`(?:, )?)+) \|", PAGE.partition("| column | what it takes |")[2], re.MULTILINE)
    assert {name for row in columns for name in re.findall(r"`(\w+)`", row)} == set(Columns.model_fields)


def test_words_that_mean_not_known_are_on_the_page() -> None:
    (row,) = re.findall(r"^\| `unknown` \| Further.*$", PAGE, re.MULTILINE)
    shown = {word.lower() for word in re.findall(r"`([^`]+)`", row.partition("An empty field")[2])}
    assert shown == {word.lower() for word in NOT_KNOWN - {""}}


@pytest.mark.parametrize("status", [401, 402, 403, 404, 405, 407, 411, 413, 415, 429, 400, 200, 500])
def test_who_was_turned_away(tmp_path: Path, status: int) -> None:
    said = re.findall(r"Rows with ([\d, and]+) are left out", PAGE)[0]
    line = FILES["access.log"].splitlines()[0].replace('" 200 ', f'" {status} ')
    (tmp_path / "access.log").write_text(line + "\n", encoding="utf-8")
    (tmp_path / "access.yaml").write_text(FILES["access.yaml"], encoding="utf-8")
    done = import_calls(tmp_path / "access.log", load_mapping(tmp_path / "access.yaml"), tmp_path / "out", SECRETS)
    assert (done.calls == 0) == (str(status) in re.findall(r"\d+", said))


def test_columns_of_the_table_of_calls() -> None:
    """What a mapping cannot give are the row's own place and proofs, and who counted."""
    printed = {
        "address": "ip",
        "tls": "tls",
        "billing": "billing",
        "user": "user",
        "prompt": "prompt",
        "system": "system",
    }
    others = {f"{name}_print" for name in printed.values()} | {
        "skeleton_print",
        "print_key_id",
        "call_id",
        "latency_us",
    }
    given = (set(Columns.model_fields) - printed.keys() - {"id", "latency", "messages", "request"}) | others
    assert set(CALLS.names) - given == {"counted_by", "receipt_id", "escrow_digest", "row", "salt"}


def test_the_longest_line_is_of_a_size_that_prompts_do_not_reach() -> None:
    assert LONGEST_LINE >= 16 * 2**20
