from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from stillroom.base.errors import StoreError
from stillroom.base.records import Message, Trace
from stillroom.check import dataset as dataset_module
from stillroom.check import published
from stillroom.check.dataset import write_dataset
from stillroom.check.manifest import verify_manifest
from stillroom.check.origin import Origin
from stillroom.store.schemas import REJECTED, REPLIES
from stillroom.store.tables import message_row, write_table, write_traces
from stillroom.text.think import split_think

ORIGIN = Origin(
    name="abacus",
    recipe_digest="sha256:4c1f",
    model="oracle-1",
    host="api.example.com",
    terms="own",
    samples=2,
    temperature=0.7,
    top_p=None,
    max_tokens=4096,
    seed=None,
    more_fields=(),
    has_system_prompt=False,
    has_examples=False,
    held_out=0.05,
    language=None,
)
NOW = 1_790_000_000_000_000
ASKED = (Message(role="system", content="Be brief."), Message(role="user", content="9 and 9?"))


def trace(name: str, sample: int = 0, **columns: Any) -> Trace:
    said = Message(role="assistant", content="18", reasoning=f"9 + 9 = 18, {sample}", train=True)
    known: dict[str, Any] = {
        "question_id": name,
        "messages": (*ASKED, said),
        "verdict": "right",
        "pass_rate": 0.5,
        "tokens": 12,
        "teacher": "oracle-1",
        "terms_id": "own",
        "reply_key": f"sha256:{name}-{sample}",
        "source": "sums.jsonl",
        "licence": "MIT",
        "family": "sums",
        "kind": "number",
        "expected": "18",
        "judged_by": "verifier",
    }
    return Trace(**(known | columns))


def rejected(name: str, reason: str = "wrong", **columns: Any) -> dict[str, Any]:
    row: dict[str, Any] = dict.fromkeys(REJECTED.names)
    row |= {
        "question_id": name,
        "sample": 1,
        "reply_key": f"sha256:{name}-1",
        "reason": reason,
        "detail": "another number",
        "verdict": "wrong",
        "extracted": "19",
        "expected": "18",
        "reasoning": "9 + 9 = 19",
        "answer": "19",
        "messages": [message_row(message) for message in ASKED],
        "kind": "number",
        "source": "sums.jsonl",
        "licence": "MIT",
        "judged_by": "verifier",
    }
    return row | columns


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Path]:
    """Writes the tables of a run that was checked."""

    def write(kept: list[Trace], lost: list[dict[str, Any]] | None = None, held_out: list[Trace] | None = None) -> Path:
        folder = tmp_path / "abacus"
        folder.mkdir(exist_ok=True)
        write_traces(folder / "traces.parquet", kept)
        write_table(folder / "rejected.parquet", REJECTED, lost or [])
        if held_out is not None:
            write_traces(folder / "held_out.parquet", held_out)
        reply = dict.fromkeys(REPLIES.names) | {"status": "ok", "asked_at": NOW}
        write_table(folder / "replies.parquet", REPLIES, [reply, reply | {"status": "truncated"}])
        return folder

    return write


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_the_folder_holds_both_splits_what_was_rejected_and_what_it_is(run: Callable[..., Path]) -> None:
    folder = run([trace("a"), trace("b", 1)], [rejected("a")], [trace("c")])
    manifest = write_dataset(folder, ORIGIN, NOW)
    dataset = folder / "dataset"
    files = {path.relative_to(dataset).as_posix() for path in dataset.rglob("*") if path.is_file()}
    assert files == {
        "README.md",
        "data/train-00000-of-00001.parquet",
        "data/held_out-00000-of-00001.parquet",
        "train.jsonl",
        "held_out.jsonl",
        "rejected.parquet",
        "manifest.json",
    }
    assert {name: file.get("rows") for name, file in manifest["files"].items()} == {
        "README.md": None,
        "data/held_out-00000-of-00001.parquet": 1,
        "data/train-00000-of-00001.parquet": 2,
        "held_out.jsonl": 1,
        "rejected.parquet": 1,
        "train.jsonl": 2,
    }
    assert manifest["created_at"] == NOW
    assert manifest["recipe"] == "sha256:4c1f"
    assert set(manifest["inputs"]) == {"replies.parquet", "traces.parquet", "held_out.parquet", "rejected.parquet"}
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_row_is_a_conversation_with_its_reasoning_in_one_think_block(run: Callable[..., Path]) -> None:
    folder = run([trace("a"), trace("b", messages=(*ASKED, Message(role="assistant", content="18")))], [], [trace("c")])
    write_dataset(folder, ORIGIN, NOW)
    dataset = folder / "dataset"
    first, bare = pq.read_table(dataset / "data/train-00000-of-00001.parquet").to_pylist()
    assert first["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "9 and 9?"},
        {"role": "assistant", "content": "<think>\n9 + 9 = 18, 0\n</think>\n\n18"},
    ]
    assert bare["messages"][-1] == {"role": "assistant", "content": "18"}
    apart = split_think(first["messages"][-1]["content"])
    assert (apart.reasoning, apart.answer) == ("9 + 9 = 18, 0", "18")
    assert {name: value for name, value in first.items() if name != "messages"} == {
        "question_id": "a",
        "source": "sums.jsonl",
        "licence": "MIT",
        "family": "sums",
        "kind": "number",
        "expected": "18",
        "verdict": "right",
        "judged_by": "verifier",
        "tokens": 12,
        "teacher": "oracle-1",
        "reply_key": "sha256:a-0",
        "receipt": None,
        "pass_rate": 0.5,
        "terms": "own",
    }
    assert lines(dataset / "train.jsonl") == [{"messages": row["messages"]} for row in (first, bare)]
    assert lines(dataset / "held_out.jsonl")[0]["messages"] == first["messages"]


def test_a_licence_that_all_agree_on_is_not_named_for_rows_from_elsewhere(run: Callable[..., Path]) -> None:
    def licence(kept: list[Trace]) -> Any:
        folder = run(kept, [rejected("a")])
        write_dataset(folder, ORIGIN, NOW)
        return yaml.safe_load((folder / "dataset/README.md").read_text().split("---")[1])["license"]

    assert licence([trace("a"), trace("b")]) == "mit"
    assert licence([trace("a"), trace("b", teacher="another")]) == "unknown"
    assert licence([trace("a"), trace("b", licence="Apache-2.0")]) == "other"
    assert licence([trace("a"), trace("b", licence=None)]) == "unknown"


def test_what_was_rejected_is_there_with_the_question_but_no_examination_is_spread(run: Callable[..., Path]) -> None:
    nothing = rejected("b", "failed", reasoning=None, answer=None, verdict=None)
    unread = rejected("c", "not_a_conversation", question_id=None, messages=[], reasoning=None, answer="?")
    copied = rejected("d", "contaminated", detail="the same as aime 3: Find the sum of all")
    folder = run([trace("a")], [rejected("a"), nothing, unread, copied])
    write_dataset(folder, ORIGIN, NOW)
    wrong, failed, other, contaminated = pq.read_table(folder / "dataset/rejected.parquet").to_pylist()
    assert [message["content"] for message in wrong["messages"]] == [
        "Be brief.",
        "9 and 9?",
        "<think>\n9 + 9 = 19\n</think>\n\n19",
    ]
    assert (wrong["reason"], wrong["detail"], wrong["extracted"]) == ("wrong", "another number", "19")
    assert [message["role"] for message in failed["messages"]] == ["system", "user"]
    assert other["messages"] == [{"role": "assistant", "content": "?"}]
    assert (contaminated["question_id"], contaminated["reason"]) == ("d", "contaminated")
    assert [contaminated[name] for name in ("messages", "expected", "extracted", "detail")] == [None] * 4


def test_tool_calls_are_kept(run: Callable[..., Path]) -> None:
    calls = ({"id": "1", "type": "function", "function": {"name": "add", "arguments": "[9, 9]"}},)
    asked = (*ASKED, Message(role="assistant", content="", tool_calls=calls), Message(role="tool", content="18"))
    folder = run([trace("a"), trace("b", messages=(*asked, Message(role="assistant", content="18")))])
    write_dataset(folder, ORIGIN, NOW)
    plain, called = lines(folder / "dataset/train.jsonl")
    assert all("tool_calls" not in message for message in plain["messages"])
    assert called["messages"][2] == {"role": "assistant", "content": "", "tool_calls": list(calls)}
    row = pq.read_table(folder / "dataset/data/train-00000-of-00001.parquet").to_pylist()[1]
    assert json.loads(row["messages"][2]["tool_calls"]) == list(calls)
    assert row["messages"][1]["tool_calls"] is None


def test_many_rows_are_several_files_in_their_order(run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "ROWS_PER_GROUP", 3)
    monkeypatch.setattr(published, "BYTES_PER_FILE", 10)
    folder = run([trace(f"q{number}") for number in range(7)])
    write_dataset(folder, ORIGIN, NOW)
    files = sorted((folder / "dataset/data").iterdir())
    assert [file.name for file in files] == [f"train-0000{number}-of-00003.parquet" for number in range(3)]
    ids = [row["question_id"] for file in files for row in pq.read_table(file).to_pylist()]
    assert ids == [f"q{number}" for number in range(7)]
    assert len(lines(folder / "dataset/train.jsonl")) == 7


LOAD = """
import json, sys, datasets
datasets.disable_progress_bars()
found = datasets.load_dataset(sys.argv[1], cache_dir=sys.argv[2])
print(json.dumps({split: [rows[0] if len(rows) else None, len(rows)] for split, rows in found.items()}))
"""


def loading(folder: Path, cache: Path) -> subprocess.CompletedProcess[str]:
    """The datasets library at work, without a network."""
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(cache)}
    words = [sys.executable, "-c", LOAD, str(folder / "dataset"), str(cache)]
    return subprocess.run(words, env=environment, capture_output=True, text=True, timeout=300)


def load(folder: Path, cache: Path) -> Any:
    """What the datasets library reads."""
    done = loading(folder, cache)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_the_datasets_library_loads_both_splits(run: Callable[..., Path], tmp_path: Path) -> None:
    folder = run([trace("a"), trace("b")], [rejected("a")], [trace("c")])
    write_dataset(folder, ORIGIN, NOW)
    found = load(folder, tmp_path / "cache")
    assert {split: rows for split, (_, rows) in found.items()} == {"train": 2, "held_out": 1}
    assert found["train"][0]["messages"][-1] == {
        "role": "assistant",
        "content": "<think>\n9 + 9 = 18, 0\n</think>\n\n18",
    }


def test_a_split_without_rows_is_not_there(run: Callable[..., Path], tmp_path: Path) -> None:
    folder = run([trace("a")], [rejected("a")], [])
    write_dataset(folder, ORIGIN, NOW)
    assert set(load(folder, tmp_path / "cache")) == {"train"}
    assert not list((folder / "dataset").rglob("held_out*"))


def test_a_run_that_kept_nothing_has_a_data_set_that_says_so(run: Callable[..., Path], tmp_path: Path) -> None:
    folder = run([], [rejected("a")], [])
    manifest = write_dataset(folder, ORIGIN, NOW)
    assert set(manifest["files"]) == {"README.md", "rejected.parquet"}
    card = (folder / "dataset/README.md").read_text()
    assert "0 conversations" in card
    assert "load_dataset" not in card
    assert "train.jsonl" not in card
    assert yaml.safe_load(card.split("---")[1])["configs"][0]["data_files"][0]["split"] == "train"
    done = loading(folder, tmp_path / "cache")
    assert done.returncode != 0, f"what was rejected is loaded as if it were kept: {done.stdout}"
    assert "DataFilesNotFoundError" in done.stderr


def test_the_folder_is_replaced_whole(run: Callable[..., Path]) -> None:
    folder = run([trace("a")], held_out=[trace("c")])
    write_dataset(folder, ORIGIN, NOW)
    (folder / "dataset/mine.txt").write_text("of an earlier time")
    (folder / "held_out.parquet").unlink()
    (folder / ".dataset.part").mkdir()
    (folder / ".dataset.part/half").write_text("what a killed process left")
    (folder / ".dataset.old").write_text("and a file in the way")
    write_dataset(folder, ORIGIN, NOW)
    assert verify_manifest(folder / "dataset") == []
    assert not (folder / "dataset/mine.txt").exists()
    assert not list((folder / "dataset").rglob("held_out*"))
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_what_fails_leaves_the_old_folder(run: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    folder = run([trace("a")])
    old = write_dataset(folder, ORIGIN, NOW)

    def fail(*_: object) -> None:
        raise StoreError("there is no space left")

    monkeypatch.setattr(dataset_module, "write_card", fail)
    run([trace("a"), trace("b")])
    with pytest.raises(StoreError, match="no space"):
        write_dataset(folder, ORIGIN, NOW)
    assert json.loads((folder / "dataset/manifest.json").read_text()) == old
    assert verify_manifest(folder / "dataset") == []
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


def test_a_missing_table_is_named(run: Callable[..., Path]) -> None:
    folder = run([trace("a")])
    (folder / "rejected.parquet").unlink()
    with pytest.raises(StoreError, match=r"rejected\.parquet does not exist"):
        write_dataset(folder, ORIGIN, NOW)
    assert not (folder / "dataset").exists()


def test_a_manifest_names_what_differs(run: Callable[..., Path]) -> None:
    folder = run([trace("a"), trace("b")], [rejected("a")])
    write_dataset(folder, replace(ORIGIN, held_out=0.0), NOW)
    dataset = folder / "dataset"
    for hidden in (".gitattributes", ".cache/huggingface/x"):  # what the hub and its client add
        (dataset / hidden).parent.mkdir(parents=True, exist_ok=True)
        (dataset / hidden).write_text("")
    assert verify_manifest(dataset) == []
    with (dataset / "train.jsonl").open("a") as file:
        file.write('{"messages": []}\n')
    (dataset / "rejected.parquet").unlink()
    (dataset / "more.txt").write_text("?")
    assert verify_manifest(dataset) == [
        "rejected.parquet is missing.",
        "train.jsonl is not the file that was written: its digest differs.",
        "more.txt is not in the manifest.",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"train.jsonl": {"rows": 3}}, "train.jsonl has 1 rows, and the manifest says 3."),
        ({"../traces.parquet": {}}, "../traces.parquet lies outside the folder."),
        ({"/etc/passwd": {}}, "/etc/passwd lies outside the folder."),
        ({"train.jsonl": None}, "train.jsonl is not the file that was written: its digest differs."),
    ],
)
def test_a_manifest_that_does_not_tell_the_truth(run: Callable[..., Path], change: dict[str, Any], said: str) -> None:
    folder = run([trace("a")])
    manifest = write_dataset(folder, ORIGIN, NOW)
    for name, keys in change.items():
        manifest["files"][name] = keys if keys is None else manifest["files"].get(name, {}) | keys
    (folder / "dataset/manifest.json").write_text(json.dumps(manifest))
    assert verify_manifest(folder / "dataset") == [said]


@pytest.mark.parametrize("text", ["{}", '{"manifest_version": 2, "files": {}}', '{"manifest_version": 1}', "[]", "?"])
def test_what_is_no_manifest(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text)
    with pytest.raises(StoreError, match=r"manifest\.json"):
        verify_manifest(tmp_path)
    with pytest.raises(StoreError, match="There is no data set at"):
        verify_manifest(tmp_path / "nowhere")
