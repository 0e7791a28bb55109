"""LiteLLM's spend logs: who asked is told by the key, what nobody counted is not zero, and no text is kept."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stillroom.store.calls import call_dataset
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints, epoch_at
from stillroom.watch.importing.importer import Imported, import_calls
from stillroom.watch.importing.mapping import ImportMapping

SECRETS = Secrets(bytes(32))
LITELLM = ImportMapping(name="litellm", format="litellm")
HASH = "88dc28d0f030c55ed4ab77ed8faf098196cb1c05df778539800c9f1243fe6b4b"
BODY = {
    "model": "gpt-4o",
    "messages": [
        {"role": "system", "content": "You are a clerk."},
        {"role": "user", "content": "What is 2 + 2?"},
    ],
    "temperature": 0.7,
    "max_tokens": 100,
    "stream": True,
    "user": "somebody-else",
}
ROW: dict[str, Any] = {
    "request_id": "chatcmpl-6dcb2540",
    "call_type": "acompletion",
    "api_key": HASH,
    "spend": 7.25e-05,
    "total_tokens": 38,
    "prompt_tokens": 7,
    "completion_tokens": 31,
    "startTime": "2024-11-18T18:07:54.071000Z",
    "endTime": "2024-11-18T18:07:55.510000Z",
    "completionStartTime": "2024-11-18T18:07:54.500000Z",
    "model": "azure/gpt-4o-eu",
    "model_id": "7",
    "model_group": "gpt-4o",
    "api_base": "",
    "user": "spoofed-user",
    "metadata": json.dumps(
        {
            "user_api_key": HASH,
            "user_api_key_user_id": "u-17",
            "user_api_key_team_id": None,
            "status": "success",
            "usage_object": {
                "prompt_tokens_details": {"cached_tokens": 4},
                "completion_tokens_details": {"reasoning_tokens": 0},
            },
        }
    ),
    "cache_hit": "None",
    "cache_key": "Cache OFF",
    "request_tags": json.dumps(["User-Agent: AsyncOpenAI", "User-Agent: AsyncOpenAI/Python 1.60.0 (x)", "team-a"]),
    "team_id": "",
    "organization_id": "",
    "end_user": "customer-of-a-customer",
    "requester_ip_address": "192.0.2.77",
    "messages": "{}",
    "response": "{}",
    "proxy_server_request": json.dumps(BODY),
    "session_id": "s",
    "status": "success",
}


def imported(folder: Path, *rows: dict[str, Any], mapping: ImportMapping = LITELLM) -> tuple[Imported, list[Any]]:
    source = folder / "spend.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    done = import_calls(source, mapping, folder / "out", SECRETS)
    return done, call_dataset(folder / "out").to_table().to_pylist()


def test_each_column(tmp_path: Path) -> None:
    done, (call,) = imported(tmp_path, ROW)
    prints = Prints(SECRETS, "2024q4")
    texts = prints.texts("What is 2 + 2?", "You are a clerk.")
    told = {name: value for name, value in call.items() if value is not None}
    assert told.pop("call_id").startswith(f"{1731953274000:012x}")
    assert told == {
        "at": 1731953274071000,
        "account": HASH,
        "organisation": "u-17",
        "key_id": HASH,
        "model": "gpt-4o",
        "route": "chat",
        "stream": True,
        "turns": 1,
        "max_tokens": 100,
        "temperature": 0.7,
        "asks_reasoning": False,
        "asks_logprobs": False,
        "asks_grading": False,
        "ip_print": prints.address("192.0.2.0"),
        "agent": "AsyncOpenAI/Python 1.60.0",
        "user_print": prints.label("user", "customer-of-a-customer"),
        "prompt_print": texts.prompt,
        "system_print": texts.system,
        "skeleton_print": texts.skeleton,
        "print_key_id": prints.print_key_id,
        "prompt_tokens": 7,
        "cached_tokens": 4,
        "completion_tokens": 31,
        "cost_usd": "0.0000725",
        "latency_us": 1_439_000,
        "status": "ok",
        "row": 0,
    }
    sketches = call_dataset(tmp_path / "out", "sketches").to_table().to_pylist()
    assert sketches == [{"call_id": call["call_id"], "minhash": texts.sketch}]
    assert (done.rows, done.calls, done.segments) == (1, 1, 1)
    absent = ["n", "tls_print", "billing_print", "permit_id", "reasoning_tokens", "http_status"]
    assert done.missing == absent


def test_who_asks_is_what_the_key_says(tmp_path: Path) -> None:
    """A client may call itself what it likes: that makes no other customer of it, and none of somebody else."""
    one = {**ROW, "request_id": "a", "user": "victim", "end_user": "victim"}
    other = {**ROW, "request_id": "b", "user": "victim-2", "end_user": json.dumps({"session": "blob"})}
    _, calls = imported(tmp_path, one, other)
    assert {(call["account"], call["organisation"]) for call in calls} == {(HASH, "u-17")}
    assert len({call["user_print"] for call in calls}) == 2
    assert not any("victim" in str(value) for call in calls for value in call.values())


@pytest.mark.parametrize(
    ("changed", "organisation"),
    [
        ({"organization_id": "org-1", "team_id": "team-1"}, "org-1"),
        ({"team_id": "team-1"}, "team-1"),
        ({}, "u-17"),
        ({"metadata": json.dumps({"user_api_key_user_id": "default_user_id"})}, f"account:{HASH}"),
        ({"metadata": "{}"}, f"account:{HASH}"),
        ({"metadata": "{broken"}, f"account:{HASH}"),
    ],
)
def test_organisation(tmp_path: Path, changed: dict[str, Any], organisation: str) -> None:
    """An administrator's own user, for whom everybody's keys are made, is not everybody's organisation."""
    _, (call,) = imported(tmp_path, ROW | changed)
    assert call["organisation"] == organisation


def test_what_nobody_counted_is_not_zero(tmp_path: Path) -> None:
    row = ROW | {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0, "spend": 0.0}
    _, (call,) = imported(tmp_path, row)
    assert [call[name] for name in ("prompt_tokens", "completion_tokens", "reasoning_tokens", "cost_usd")] == [None] * 4


def test_without_stored_prompts(tmp_path: Path) -> None:
    """LiteLLM's own default: what the request said is not known, and not false."""
    done, (call,) = imported(tmp_path, ROW | {"proxy_server_request": "{}"})
    for name in ("prompt_print", "stream", "temperature", "turns", "asks_reasoning", "asks_grading"):
        assert call[name] is None
        assert name in done.missing
    assert "minhash" in done.missing
    assert call_dataset(tmp_path / "out", "sketches").count_rows() == 0


def test_no_text_is_kept(tmp_path: Path) -> None:
    secret = "my-secret-plan"
    body = {**BODY, "messages": [{"role": "user", "content": secret}], "user": "their-user"}
    broken = {**ROW, "startTime": "never", "proxy_server_request": json.dumps(body)}
    row = {
        **ROW,
        "request_id": "b",
        "response": secret,
        "proxy_server_request": json.dumps(body),
        "api_key": "sk-abc-1",
    }
    imported(tmp_path, row, broken)
    kept = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    tables = [call_dataset(tmp_path / "out", name).to_table().to_pylist() for name in ("calls", "sketches")]
    assert len(kept) >= 5
    for words in (secret, "sk-abc-1", "their-user", "192.0.2"):
        assert not any(words.encode() in data for data in kept)
        assert words not in str(tables)


@pytest.mark.parametrize("kind", ["aimage_generation", "amoderation", "acreate_file", "arerank", "aretrieve_batch"])
def test_calls_of_no_language_model(tmp_path: Path, kind: str) -> None:
    done, calls = imported(tmp_path, ROW, ROW | {"call_type": kind, "request_id": "b"})
    assert len(calls) == 1
    assert done.left_out == {"no call of a language model": 1}


@pytest.mark.parametrize(
    ("code", "status"),
    [("401", None), ("429", None), ("400", "refused"), ("500", "failed"), ("", "failed"), ("x", "failed")],
)
def test_failures(tmp_path: Path, code: str, status: str | None) -> None:
    """Who was turned away at the door got nothing, and may be anyone."""
    metadata = json.dumps({"status": "failure", "error_information": {"error_code": code, "error_class": "E"}})
    done, calls = imported(tmp_path, ROW, ROW | {"status": "failure", "metadata": metadata, "request_id": "b"})
    assert [call["status"] for call in calls[1:]] == ([] if status is None else [status])
    assert done.left_out.total() == (status is None)


def test_forged_forwarding(tmp_path: Path) -> None:
    """LiteLLM keeps X-Forwarded-For as it comes: of it, the last hop that is no proxy of ours was seen by somebody."""
    mapping = ImportMapping(name="litellm", format="litellm", trusted_proxies=("10.0.0.0/8",))
    row = ROW | {"requester_ip_address": "203.0.113.9, 192.0.2.1, 10.0.0.7"}
    _, (call,) = imported(tmp_path, row, mapping=mapping)
    assert call["ip_print"] == Prints(SECRETS, "2024q4").address("192.0.2.1")
    _, calls = imported(tmp_path, ROW | {"requester_ip_address": "10.0.0.7", "request_id": "b"}, mapping=mapping)
    assert calls[1]["ip_print"] is None, "a proxy's own address links everybody with everybody"


def test_cache_hits_are_calls_of_their_own(tmp_path: Path) -> None:
    hit = ROW | {"request_id": "chatcmpl-6dcb2540_cache_hit1795025280.5", "cache_hit": "True", "spend": 0}
    assert imported(tmp_path, ROW, hit)[0].calls == 2


def test_requests_without_an_id(tmp_path: Path) -> None:
    rows = [
        ROW | {"request_id": told, "startTime": f"2024-11-18T18:07:5{n}.071Z"} for n, told in enumerate(["", "None"])
    ]
    assert imported(tmp_path, *rows)[0].calls == 2
    assert imported(tmp_path, *rows)[0].already_there == 2


def test_every_form_of_export_gives_the_same_calls(tmp_path: Path) -> None:
    other = ROW | {"request_id": "b", "api_key": "f" * 64, "team_id": "t", "startTime": "2024-11-18 18:08:00.5+00"}
    _, expected = imported(tmp_path, ROW, other)
    exports = [tmp_path / name for name in ("rows.csv", "rows.parquet", "list.json", "packed.jsonl.gz")]
    with exports[0].open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ROW.keys())
        writer.writeheader()
        writer.writerows([ROW, other])
    pq.write_table(pa.Table.from_pylist([ROW, other]), exports[1])
    exports[2].write_text(json.dumps({"data": [ROW, other], "total": 2}), encoding="utf-8")
    exports[3].write_bytes(gzip.compress((tmp_path / "spend.jsonl").read_bytes()))
    for export in exports:
        import_calls(export, LITELLM, tmp_path / export.name.replace(".", "-"), SECRETS)
        assert call_dataset(tmp_path / export.name.replace(".", "-")).to_table().to_pylist() == expected


def test_times_as_a_database_exports_them(tmp_path: Path) -> None:
    import datetime

    at = datetime.datetime(2024, 11, 18, 18, 7, 54, 71000)  # noqa: DTZ001 - Postgres' `timestamp`, which is UTC here
    table = pa.Table.from_pylist([ROW | {"startTime": at, "endTime": at}])
    for unit in ("ms", "ns"):
        index = table.schema.get_field_index("startTime")
        cast = table.column("startTime").cast(pa.timestamp(unit))
        pq.write_table(table.set_column(index, "startTime", cast), tmp_path / "rows.parquet")
        import_calls(tmp_path / "rows.parquet", LITELLM, tmp_path / unit, SECRETS)
        (call,) = call_dataset(tmp_path / unit).to_table().to_pylist()
        assert (call["at"], call["latency_us"]) == (1731953274071000, 0)


def test_between_two_epochs(tmp_path: Path) -> None:
    """As the gateway's calls, those of an epoch's first days have the prints of the one before beside them."""
    _, (call,) = imported(tmp_path, ROW | {"startTime": "2024-10-03T00:00:00Z"})
    (earlier,) = call_dataset(tmp_path / "out", "earlier_prints").to_table().to_pylist()
    before = Prints(SECRETS, epoch_at(call["at"] - 7 * 86_400_000_000))
    assert before.epoch == "2024q3"
    assert earlier["call_id"] == call["call_id"]
    assert earlier["prompt_print"] == before.texts("What is 2 + 2?", None).prompt
    assert earlier["prompt_print"] != call["prompt_print"]
    assert earlier["print_key_id"] == before.print_key_id


def test_masked_keys_are_nobody(tmp_path: Path) -> None:
    """As an API shows them: two accounts whose keys begin alike are not one account."""
    done, calls = imported(tmp_path, ROW, ROW | {"request_id": "b", "api_key": "51**"})
    assert len(calls) == 1
    assert done.rejected == {"its account is not known": 1}
    assert [(each["column"], each["problem"]) for each in done.unreadable] == [("account", "it is masked")]


@pytest.mark.parametrize(
    ("told", "at"),
    [
        ("2024-11-18T18:07:54Z", 1731953274000000),
        ("2024-11-18 18:07:54.071+00", 1731953274071000),
        ("2024-11-18T20:07:54.071999999+02:00", 1731953274071999),
        ("2024-11-18 18:07:54,071", 1731953274071000),
    ],
)
def test_ways_of_writing_a_time(tmp_path: Path, told: str, at: int) -> None:
    _, (call,) = imported(tmp_path, ROW | {"startTime": told})
    assert call["at"] == at
