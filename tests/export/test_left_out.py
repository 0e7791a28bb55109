"""Rows in = rows written + rows left out with a reason."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from tests.export.conftest import ABOUT, CALLED, PLAIN, REASONED, TOOL, Export, call, rows, said, trace

from stillroom.base.errors import DataError, StoreError, UsageError
from stillroom.base.records import Trace
from stillroom.export import openai
from stillroom.export.conversation import REASONS
from stillroom.export.dataset import FORMS, export_dataset
from stillroom.export.form import Form
from stillroom.run_folder import SILENT
from stillroom.store.files import read_json

ASKED = said("user", "Well?")
EVERYWHERE: dict[str, Trace] = {
    "nothing_trained": trace(ASKED, said("assistant", "No.", train=False)),
    "other_role_trained": trace(said("user", "Well?", train=True), said("assistant", "No.")),
    "begins_with_reply": trace(said("system", "Be brief."), said("assistant", "Hello.")),
    "empty_reply": trace(ASKED, said("assistant", " \n", reasoning="I think.")),
    "think_tags": trace(ASKED, said("assistant", "<think>I never stop")),
    "unreadable_call": trace(ASKED, said("assistant", "", tool_calls=(call("add", "[1"),))),
    "unmatched_result": trace(ASKED, said("tool", "5"), said("assistant", "5")),
    "unanswered_call": trace(
        ASKED, said("assistant", "", tool_calls=(call("add", {}),)), said("user", "And?"), said("assistant", "5")
    ),
    "not_json": trace(ASKED, said("assistant", "", tool_calls=(call("add", '{"a": "\\ud800"}'),)), tools=(TOOL,)),
}
ONE_TOOL = {
    ("llama-factory", "roles_do_not_alternate"): trace(ASKED, said("user", "Hello?"), said("assistant", "Yes.")),
    ("llama-factory", "text_beside_call"): trace(
        ASKED, said("assistant", "I add.", tool_calls=(call("add", {"a": 1}),)), tools=(TOOL,)
    ),
    ("openai", "tool_name"): trace(
        ASKED, said("assistant", "", tool_calls=(call("my tool", {"a": 1}),)), tools=(TOOL,)
    ),
}


@pytest.mark.parametrize("to", list(FORMS))
@pytest.mark.parametrize("reason", list(EVERYWHERE))
def test_what_no_tool_can_train_on_is_left_out(export: Export, to: str, reason: str) -> None:
    facts, out = export(to, [REASONED, EVERYWHERE[reason], PLAIN])
    assert facts["splits"]["train"]["left_out"] == {reason: 1}
    assert facts["splits"]["train"]["written"] == 2
    (named,) = rows(out / "left_out.jsonl")
    assert named["place"] == "traces.parquet, row 2"
    assert named["reason"] == reason
    assert f"| {reason} | 1 |" in (out / "README.md").read_text()


@pytest.mark.parametrize(("to", "reason"), list(ONE_TOOL))
def test_what_one_tool_refuses_is_left_out_for_it_alone(export: Export, to: str, reason: str) -> None:
    for other in FORMS:
        facts, _ = export(other, [REASONED, ONE_TOOL[to, reason]])
        assert facts["splits"]["train"]["left_out"] == ({reason: 1} if other == to else {})


def test_every_reason_is_tried() -> None:
    tried = {*EVERYWHERE, *(reason for _, reason in ONE_TOOL), "beyond_file_limit"}
    assert tried == REASONS.keys()


def test_a_file_ends_at_the_size_that_its_tool_takes(export: Export, monkeypatch: pytest.MonkeyPatch) -> None:
    short = trace(said("user", "?"), said("assistant", "!"))
    small = Form("OpenAI", "openai.md.j2", openai.lines, file_bytes=400)
    monkeypatch.setitem(FORMS, "openai", small)
    facts, out = export("openai", [PLAIN, trace(said("user", "?" * 400), said("assistant", "!")), short])
    train = facts["splits"]["train"]
    assert train["left_out"] == {"beyond_file_limit": 1}
    assert train["traces"] == train["written"] + 1 == 3
    assert (out / "train.jsonl").stat().st_size <= 400


def test_no_traces_at_all(export: Export) -> None:
    with pytest.raises(DataError, match=r"traces\.parquet has no trace"):
        export("trl", [])


def test_none_that_is_left(export: Export, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"None of the 2 traces can be exported: a reply .* is empty \(2\)"):
        export("trl", [EVERYWHERE["empty_reply"]] * 2, held_out=[REASONED])
    assert not (tmp_path / "out" / "trl").exists()


def test_a_run_before_its_check(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"traces\.parquet"):
        export_dataset(tmp_path, "trl", tmp_path / "out", ABOUT, "keep", SILENT)
    assert not (tmp_path / "out").exists()


# The folder


def test_an_earlier_export_is_replaced_whole(export: Export) -> None:
    export("axolotl", [CALLED, EVERYWHERE["empty_reply"], REASONED], held_out=[PLAIN])
    facts, out = export("axolotl", [REASONED])
    assert {path.name for path in out.iterdir()} == {"README.md", "axolotl.yaml", "export.json", "train.jsonl"}
    assert read_json(out / "export.json") == facts
    assert facts["files"]["train.jsonl"] == (out / "train.jsonl").stat().st_size


def test_the_same_traces_give_the_same_bytes(export: Export) -> None:
    _, out = export("trl", [REASONED, CALLED])
    first = {path.name: path.read_bytes() for path in out.iterdir()}
    export("trl", [REASONED, CALLED])
    assert {path.name: path.read_bytes() for path in out.iterdir()} == first


@pytest.mark.parametrize("name", ["notes.txt", ".git/config", "data/more.jsonl"])
def test_a_file_of_somebody_else_is_never_replaced(export: Export, name: str) -> None:
    _, out = export("trl", [REASONED])
    theirs = out / name
    theirs.parent.mkdir(exist_ok=True)
    theirs.write_text("mine")
    with pytest.raises(UsageError, match="which no export wrote"):
        export("trl", [PLAIN])
    assert theirs.read_text() == "mine"
    assert rows(out / "train.jsonl")[0]["prompt"][0]["content"] == "9 + 9?"


@pytest.mark.parametrize("content", [None, "{}", '{"to": "trl", "files": 3}', "not JSON"])
def test_another_folder_is_never_replaced(export: Export, tmp_path: Path, content: str | None) -> None:
    out = tmp_path / "out" / "trl"
    out.mkdir(parents=True)
    (out / ("export.json" if content else "thesis.md")).write_text(content or "mine")
    with pytest.raises(UsageError, match="is no earlier export"):
        export("trl", [REASONED])
    assert len(list(out.iterdir())) == 1


def test_an_empty_folder_is_taken_and_a_file_is_not(export: Export, tmp_path: Path) -> None:
    (tmp_path / "out" / "trl").mkdir(parents=True)
    export("trl", [REASONED])
    (tmp_path / "out" / "openai").write_text("mine")
    with pytest.raises(UsageError, match="is no folder"):
        export("openai", [REASONED])


def test_names_cannot_leave_their_place_in_the_readme(tmp_path: Path) -> None:
    from dataclasses import replace

    from stillroom.store.tables import write_traces

    write_traces(tmp_path / "traces.parquet", [REASONED])
    about = replace(ABOUT, teacher="a`b <script>\n# heading", terms="x\x1b[31m")
    export_dataset(tmp_path, "trl", tmp_path / "out", about, "keep", SILENT)
    text = (tmp_path / "out" / "README.md").read_text()
    assert "``a`b <script> # heading``" in text
    assert "\x1b" not in text
    assert json.loads((tmp_path / "out" / "export.json").read_text())["teacher"] == about.teacher


def test_the_page_has_every_reason() -> None:
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `(\w+)` \| ", page, re.MULTILINE)) == REASONS.keys() | {"trl", "axolotl", "openai"}
