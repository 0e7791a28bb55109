"""What `stillroom look RUN --mask` shows of the rows that training gets."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stillroom.base.records import Message, Trace
from stillroom.generate.load import load_model, load_tokenizer
from stillroom.recipe import load_recipe
from stillroom.report.rows import RowFilter
from stillroom.store.tables import write_traces
from stillroom.train.preview import SHOWN, as_json, preview, print_previews
from stillroom.train.render import Renderer
from stillroom.train.settings import PartWeights, TrainSettings

SETTINGS = TrainSettings(student="tiny", max_tokens=100)
EVERY_ROW = RowFilter()


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(answer: str, reasoning: str | None = None, train: bool | None = None) -> Message:
    return Message(role="assistant", content=answer, reasoning=reasoning, train=train)


def trace(identity: str, *messages: Message, source: str = "test") -> Trace:
    return Trace(question_id=identity, messages=messages, source=source, verdict="right")


TRACES = [
    trace("sha256:aa1", user("2+3?"), assistant("5 ☕", "2+3=5")),
    trace(
        "sha256:ab2",
        user("first"),
        assistant("A", train=False),
        user("then"),
        assistant("B"),
        user("and"),
        assistant("C"),
    ),
    trace("q3", user("long"), assistant("l" * 90), source="other"),
    trace("q4", user("bad \x1b[31mred\x07"), assistant("5 <think> 6")),
    trace("q5", user("esc"), assistant("\x1b]0;title\x07 \u202e5", "\x1b[2J")),
    trace("q6", user("deep"), assistant("A", "ra"), user("more"), assistant("B", "rb")),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_traces(tmp_path / "traces.parquet", TRACES)
    return tmp_path / "traces.parquet"


def printed(
    table: Path, model: Path, wanted: RowFilter, *, settings: TrainSettings = SETTINGS, in_full: bool = False
) -> str:
    console = Console(file=io.StringIO(), width=80, highlight=False)
    print_previews(preview(table, model, settings, wanted, 10), console, in_full=in_full)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def in_colours(table: Path, model: Path, wanted: RowFilter, settings: TrainSettings = SETTINGS) -> str:
    console = Console(
        file=io.StringIO(), width=80, highlight=False, force_terminal=True, color_system="standard", _environ={}
    )
    print_previews(preview(table, model, settings, wanted, 10), console, in_full=False)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_trained_part_is_marked_where_there_are_no_colours(table: Path, tiny_model: Path) -> None:
    assert printed(table, tiny_model, RowFilter(question="aa1")).splitlines() == [
        "[+ +] is trained, [end token] ends a reply, all else is not trained.",
        'row 1  "2+3?" ' + "─" * 66,
        "<|user|>2+3?<|end|><|assistant|>[+<think>",
        "2+3=5",
        "</think>",
        "",
        "5 ☕+][<|end|>]",
        "24 tokens, 17 trained",
    ]


def test_of_several_turns_the_trained_ones_are_seen(table: Path, tiny_model: Path) -> None:
    assert (
        "<|user|>first<|end|><|assistant|>A<|end|><|user|>then<|end|><|assistant|>[+B+][<|end|>]"
        "<|user|>and<|end|><|assistant|>[+C+][<|end|>]\n"
    ) in printed(table, tiny_model, RowFilter(question="ab2"))
    apart = printed(table, tiny_model, RowFilter(question="q6"))
    assert "<|user|>deep<|end|><|assistant|>[+<think>\nra\n</think>\n\nA+][<|end|>]\n" in apart
    assert "<|user|>deep<|end|><|assistant|>A<|end|><|user|>more<|end|><|assistant|>[+<think>\nrb\n" in apart


def test_colours_on_a_terminal(table: Path, tiny_model: Path) -> None:
    shown = in_colours(table, tiny_model, RowFilter(question="ab2"))
    assert "\x1b[30;42mtrained\x1b[0m \x1b[1;37;41mend token\x1b[0m \x1b[2mnot trained\x1b[0m" in shown
    assert "\x1b[2m<|assistant|>\x1b[0m\x1b[30;42mB\x1b[0m\x1b[1;37;41m<|end|>\x1b[0m" in shown
    assert "[+" not in shown
    weighted = SETTINGS.model_copy(update={"weights": PartWeights(reasoning=0.5)})
    shown = in_colours(table, tiny_model, RowFilter(question="aa1"), weighted)
    assert "trained 0.5 times" in shown
    assert "\x1b[30;46m<think>\x1b[0m\x1b[30;106m↵\x1b[0m\n" in shown  # neighbours differ
    assert "☕" in shown  # three tokens, one character


def test_texts_cannot_write_on_the_terminal(table: Path, tiny_model: Path) -> None:
    shown = printed(table, tiny_model, EVERY_ROW)
    assert not {"\x1b", "\x07", "\u202e"} & set(shown)
    assert "\N{SYMBOL FOR ESCAPE}[31mred\N{SYMBOL FOR BELL}" in shown
    coloured = in_colours(table, tiny_model, RowFilter(question="q5"))
    assert "\x1b]0;" not in coloured
    assert "\x1b[2J" not in coloured


def test_what_training_would_refuse_or_leave_out_is_said(table: Path, tiny_model: Path) -> None:
    assert "Refused: It has think tags besides those of one block." in printed(
        table, tiny_model, RowFilter(question="q4")
    )
    short = SETTINGS.model_copy(update={"max_tokens": 50})
    shown = printed(table, tiny_model, RowFilter(source="other"), settings=short)
    assert "98 tokens, 91 trained; left out, since it is too long" in shown
    assert "left out" not in printed(table, tiny_model, RowFilter(source="other"))


def test_a_trace_without_a_row_shows_why(tmp_path: Path, tiny_model: Path) -> None:
    write_traces(tmp_path / "t.parquet", [trace("q", user("a"), assistant("A", train=False))])
    assert "Refused: It has no message to train on. Give it" in printed(tmp_path / "t.parquet", tiny_model, EVERY_ROW)


@pytest.mark.parametrize(
    ("wanted", "ids"),
    [
        (RowFilter(source="other"), ["q3"]),
        (RowFilter(search="DEEP"), ["q6"]),
        (RowFilter(search="rb"), ["q6"]),
        (RowFilter(question="a"), ["sha256:aa1", "sha256:ab2"]),
        (RowFilter(shortest=80), ["q3"]),
        (RowFilter(longest=1), ["sha256:ab2"]),
        (RowFilter(verdict="wrong"), []),
        (RowFilter(kept=False), []),
        (RowFilter(reason="wrong"), []),
        (RowFilter(kept=True, verdict="right", search="2+3"), ["sha256:aa1"]),
    ],
)
def test_filters_are_those_of_look(table: Path, tiny_model: Path, wanted: RowFilter, ids: list[str]) -> None:
    found = preview(table, tiny_model, SETTINGS, wanted, 10)
    assert [each.question_id for each in found] == ids
    if not ids:
        assert printed(table, tiny_model, wanted) == "No reply that is trained on is like that.\n"


def test_long_parts_have_a_gap_unless_all_is_asked_for(tmp_path: Path, tiny_model: Path) -> None:
    write_traces(tmp_path / "t.parquet", [trace("q", user("x" * 400), assistant("y" * 300))])
    shown = printed(tmp_path / "t.parquet", tiny_model, EVERY_ROW)
    assert f"{'x' * 99} [… {400 + 3 - SHOWN} tokens not shown: --full …] {'x' * 98}<|end|><|assistant|>[+" in shown
    assert "100 tokens not shown" in shown
    full = printed(tmp_path / "t.parquet", tiny_model, EVERY_ROW, in_full=True)
    assert f"{'x' * 400}<|end|><|assistant|>[+{'y' * 300}+][<|end|>]" in full


def test_it_is_the_path_that_training_takes(table: Path, tiny_model: Path) -> None:
    local = load_model(tiny_model)
    renderer = Renderer(local.tokenizer, "sft", local.end_ids)
    shown = preview(table, tiny_model, SETTINGS, EVERY_ROW, 10)
    assert len(shown) == len(TRACES)
    for each, one in zip(shown, TRACES, strict=True):
        rows = renderer.render(one)
        assert [row.trained for row in each.rows] == [int(row.trained.sum()) for row in rows]
        for row, seen in zip(rows, each.rows, strict=True):
            assert [number for piece in seen.pieces for number in piece.ids] == row.ids.tolist()
            assert "".join(piece.text for piece in seen.pieces) == local.tokenizer.decode(row.ids.tolist())
    json.dumps([as_json(each) for each in shown])


def test_the_tokenizer_alone_is_what_comes_with_the_model(tiny_model: Path, taught_model: Path) -> None:
    for folder in (tiny_model, taught_model):
        local = load_model(folder)
        tokenizer, end_ids, context = load_tokenizer(folder)
        assert (end_ids, context) == (local.end_ids, local.context)
        assert tokenizer.get_vocab() == local.tokenizer.get_vocab()
        assert tokenizer.chat_template == local.tokenizer.chat_template


# --- the command -----------------------------------------------------------------------------------------------------


def command(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stillroom", *words],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=300,
        check=False,
    )


@pytest.fixture
def run(tmp_path: Path, tiny_model: Path) -> Path:
    recipe: Any = {
        "name": "sums",
        "teacher": {"model": "m", "base_url": "http://127.0.0.1:9/v1", "price": "none"},
        "questions": [{"from": "file", "path": "q.jsonl"}],
        "train": {"student": str(tiny_model), "max_tokens": 100},
    }
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    folder = tmp_path / "runs" / "sums"
    folder.mkdir(parents=True)
    (folder / "recipe.yaml").write_text(load_recipe(tmp_path / "recipe.yaml").to_yaml())
    write_traces(folder / "traces.parquet", TRACES)
    return tmp_path


def test_the_command(run: Path) -> None:
    shown = command(run, "look", "sums", "--mask", "--count", "2")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "<|user|>2+3?<|end|><|assistant|>[+<think>" in shown.stdout
    assert shown.stdout.count(" trained\n") == 2
    rows = json.loads(command(run, "look", "recipe.yaml", "--mask", "--question", "aa1", "--json").stdout)
    assert [row["question_id"] for row in rows] == ["sha256:aa1"]
    assert rows[0]["rows"][0]["trained"] == 17
    nobody = command(run, "look", "nobody", "--mask")
    assert nobody.returncode == 2
    assert "There is no run" in nobody.stderr
    (run / "runs" / "sums" / "traces.parquet").unlink()
    assert command(run, "look", "sums", "--mask").returncode == 1
