"""The commands: what they print, how they stop, and that they go on where they stopped."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.ports import unused_port
from typer.testing import CliRunner, Result

from stillroom import pipeline
from stillroom.cli import app
from stillroom.recipe import load_recipe
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing.faults import http_error

QUESTIONS = [{"question": f"What is {n} + {n + 1}?", "answer": str(2 * n + 1), "kind": "number"} for n in range(12)]
EXAM = [{"question": f"What is {n} + {n + 1}?", "answer": str(2 * n + 1), "kind": "number"} for n in range(50, 58)]


def adds(question: str) -> Answer:
    """Right but for the question that begins with 7."""
    a, b = map(int, re.findall(r"\d+", question))
    return Answer(str(a + b + (a == 7)), reasoning_content=f"{a} and {b} make {a + b}.")


def write_jsonl(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Writes a recipe without a student, with its files, in a folder of its own that is the current one."""
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "questions.jsonl", QUESTIONS)
    write_jsonl(tmp_path / "exam.jsonl", EXAM)

    def write(base_url: str, more: str = "") -> Path:
        path = tmp_path / "recipe.yaml"
        path.write_text(
            f"""\
name: sums
teacher: {{model: teacher, base_url: "{base_url}", price: none, terms: own{more}}}
questions: [{{from: file, path: questions.jsonl}}]
ask: {{concurrency: 4, retries: 0}}
exam: {{questions: [{{from: file, path: exam.jsonl}}], compare: [teacher]}}
"""
        )
        return path

    return write


def stillroom(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


# Done


def test_a_run_from_questions_to_report(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        result = stillroom("run", recipe(teacher.base_url), "--json")
    assert result.exit_code == 0, result.stderr
    summary = json.loads(result.stdout)
    assert summary == json.loads(Path("runs/sums/summary.json").read_text())
    assert summary["asked"] == 12
    assert summary["kept"] == 11
    assert sum(summary["rejected"].values()) == 1
    assert summary["teacher"]["accuracy"] == 1.0
    assert summary["teacher"]["n"] == 8
    assert summary["recipe_digest"] == load_recipe("recipe.yaml").digest
    assert Path("runs/sums/report.html").stat().st_size > 1000


def test_the_resolved_recipe_lies_in_the_run(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path, "--set", "ask.samples=2").exit_code == 0
        assert teacher.requests == 12  # two samples in each call
    kept = load_recipe("runs/sums/recipe.yaml")
    assert kept == load_recipe(path, ["ask.samples=2"])


def test_what_to_be_wary_of_is_said_at_once_and_at_the_end(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(lambda _: Answer("no idea")) as teacher:
        result = stillroom("run", recipe(teacher.base_url))
    assert result.exit_code == 0, result.stderr
    said = "12 of 12 replies (100.0\N{NO-BREAK SPACE}%) were rejected, most of them as"
    assert f"check: warning: {said}" in result.stderr
    assert "Warning   12 of 12 replies" in result.stdout
    assert said in json.loads(Path("runs/sums/summary.json").read_text())["warnings"][0]


def test_what_is_done_is_not_done_again(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        first = stillroom("run", path)
        assert first.exit_code == 0, first.stderr
        requests = teacher.requests
        second = stillroom("run", path)
        assert second.exit_code == 0, second.stderr
        assert teacher.requests == requests == 20
        for stage in ("ask", "check", "exam"):
            assert f"{stage}: nothing has changed, skipped" in second.stderr
            assert f"{stage}: nothing has changed" not in first.stderr
        # Another setting of the check changes nothing for the teacher; another sample is asked, and only that one.
        third = stillroom("run", path, "--set", "check.per_question=1", "--set", "ask.samples=2")
        assert third.exit_code == 0, third.stderr
        assert teacher.requests == requests + 12
        assert "exam: nothing has changed, skipped" in third.stderr


def test_another_question_in_the_file_is_asked_alone(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path).exit_code == 0
        write_jsonl(
            Path("questions.jsonl"), [*QUESTIONS, {"question": "What is 30 + 31?", "answer": "61"}, QUESTIONS[0]]
        )
        result = stillroom("ask", path, "--json")
        assert json.loads(result.stdout)["asked"] == 13
        assert teacher.requests == 13
    assert json.loads(Path("runs/sums/questions.json").read_text()) == {"questions": 13, "repeated": 1}


def test_a_failed_call_is_tried_again_by_the_next_run(recipe: Callable[..., Path]) -> None:
    text = str(QUESTIONS[3]["question"])
    with MisbehavingTeacher(adds, faults_by_question={text: [http_error(500)]}) as teacher:
        path = recipe(teacher.base_url)
        assert json.loads(stillroom("ask", path, "--json").stdout)["by_status"] == {"failed": 1, "ok": 11}
        assert json.loads(stillroom("ask", path, "--json").stdout)["by_status"] == {"ok": 12}
        assert teacher.requests == 13


def test_how_to_ask_again_what_failed_and_what_was_cut(recipe: Callable[..., Path]) -> None:
    failing, long = (str(QUESTIONS[position]["question"]) for position in (3, 5))

    def answer(question: str) -> Answer:
        return Answer("word " * 40) if question == long else adds(question)

    with MisbehavingTeacher(answer, faults_by_question={failing: [http_error(400), http_error(400)]}) as teacher:
        path = recipe(teacher.base_url)
        limited = ["--set", "ask.max_tokens=20"]
        asked = stillroom("ask", path, *limited)
        again = f"stillroom ask {path} --set ask.max_tokens=20 --reask"
        assert asked.exit_code == 0
        assert f"1 sample failed. To ask again: {again} failed\n" in asked.stdout
        cut = "1 sample was cut by the token limit. To ask with a larger one: "
        assert f"{cut}{again} truncated\n" in asked.stdout
        json.loads(stillroom("ask", path, *limited, "--json").stdout)
        # The limits that were tried without success are not proposed again.
        asked = stillroom("ask", path, *limited, "--reask", "truncated", "--limits", "30")
        assert f"{cut}{again} truncated --limits 60\n" in asked.stdout
        asked = stillroom("ask", path, *limited, "--reask", "truncated", "--limits", "60")
        assert " cut by" not in asked.stdout
        assert "1 sample failed." in asked.stdout
        asked = stillroom("ask", path, *limited, "--reask", "failed")
        assert "failed." in asked.stdout  # the second fault
        asked = stillroom("ask", path, *limited, "--reask", "failed")
        assert "To ask" not in asked.stdout


def test_what_a_stage_did_is_said_in_sentences(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        stages = {command: stillroom(command, path).stdout for command in ("ask", "check", "report")}
    assert "12 questions: 12 replies, all of which are whole." in stages["ask"]
    assert "All of it lies in runs/sums/." in stages["ask"]
    assert "12 replies were judged: 11 kept, 1 rejected (wrong 1)." in stages["check"]
    for said in stages.values():
        assert not re.search(r"[a-z]_[a-z]", said), said  # the keys of a file


def test_what_the_models_own_limit_cut_is_not_asked_again(recipe: Callable[..., Path]) -> None:
    def answer(_: str) -> Answer:
        return Answer("word", finish_reason="length")

    with MisbehavingTeacher(answer) as teacher:
        asked = stillroom("ask", recipe(teacher.base_url), "--set", "ask.max_tokens=null")
    assert "12 samples were cut by the token limit. It is the model's own.\n" in asked.stdout


def test_a_stage_in_two_lines(recipe: Callable[..., Path], tmp_path: Path) -> None:
    with MisbehavingTeacher(adds) as teacher:
        asked = pipeline.ask(recipe(teacher.base_url), runs=tmp_path / "elsewhere")
    assert asked["asked"] == 12
    assert (tmp_path / "elsewhere" / "sums" / "replies.parquet").exists()
    assert pipeline.check("recipe.yaml", runs=tmp_path / "elsewhere")["kept"] == 11


def test_look_shows_kept_and_rejected(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path).exit_code == 0
        assert stillroom("check", path).exit_code == 0
    shown = stillroom("look", "sums")
    assert shown.exit_code == 0, shown.stderr
    for words in ("rejected", "kept", "What is 7 + 8?", "7 and 8 make 15.", "16"):
        assert words in shown.stdout
    for run in ("runs/sums", path, "runs/sums/recipe.yaml", "sums"):
        rows = json.loads(stillroom("look", run, "--count", "3", "--json").stdout)
        assert [row["verdict"] for row in rows] == ["right", "right", "wrong"]


def test_look_finds_what_it_is_asked_for(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path).exit_code == 0
        assert "Not checked yet" in stillroom("look", "sums").stdout
        assert stillroom("check", path).exit_code == 0

    def answers(*words: str) -> list[str]:
        return sorted(row["answer"] for row in json.loads(stillroom("look", "sums", *words, "--json").stdout))

    assert answers("--rejected") == answers("--reason", "wrong") == answers("--verdict", "wrong") == ["16"]
    assert answers("--kept", "--search", "WHAT IS 1") == ["21", "23", "3"]
    assert answers("--source", "questions.jsonl", "--max-length", "16", "--count", "9") == ["1", "3", "5", "7", "9"]
    assert answers("--min-length", "20", "--kept") == ["21", "23"]
    row = json.loads(stillroom("look", "sums", "--rejected", "--json").stdout)[0]
    shown = stillroom("look", "sums", "--question", row["id"][:20])
    assert shown.stdout.startswith("1 of 1 reply: wrong 1.")
    assert "No reply is like that. The run has kept 11, wrong 1." in stillroom("look", "sums", "--source", "x").stdout
    assert "The run has kept 11" in stillroom("look", "sums", "--reason", "not selected").stdout
    stopped(stillroom("look", "sums", "--reason", "wrng"), 2, "no reply is rejected as 'wrng'", "Did you mean wrong?")


def test_a_recipe_that_only_examines_says_so(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        taker = f"{{name: mine, base_url: '{teacher.base_url}', model: teacher, price: none}}"
        path.write_text(f"name: sums\nexam: {{questions: [{{from: file, path: exam.jsonl}}], compare: [{taker}]}}\n")
        assert "mine answers 100.0" in stillroom("exam", path).stdout.replace("\n", " ")
    for stage in ("ask", "check"):
        stopped(stillroom(stage, path), 2, "The recipe sums only examines.", "Run stillroom exam with it")
    stopped(stillroom("look", "sums"), 2, "The run sums only examines", "exam.html")


def test_the_data_set_of_a_run_is_verified(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path).exit_code == 0
        checked = stillroom("check", path, "--set", "check.held_out=0.5")
        assert "The data set, with its card: runs/sums/dataset" in checked.stdout
    folder = Path("runs/sums/dataset")
    written = (folder / "manifest.json").read_bytes()
    for same in ((), ("--set", "exam.max_tokens=7")):
        assert stillroom("check", path, "--set", "check.held_out=0.5", *same).exit_code == 0
        assert (folder / "manifest.json").read_bytes() == written
    verified = stillroom("verify", folder)
    assert (verified.exit_code, verified.stdout) == (0, "Every file is what the manifest says.\n")
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = sum(manifest["files"][f"{split}.jsonl"]["rows"] for split in ("train", "held_out"))
    assert (kept, manifest["files"]["rejected.parquet"]["rows"]) == (11, 1)
    assert 0 < manifest["files"]["held_out.jsonl"]["rows"] < 11
    with (folder / "train.jsonl").open("a") as file:
        file.write("{}\n")
    verified = stillroom("verify", folder, "--json")
    assert verified.exit_code == 1
    assert json.loads(verified.stdout) == {
        "differences": ["train.jsonl is not the file that was written: its digest differs."]
    }
    for place in ("sums", "runs/sums", folder / "manifest.json"):
        assert "train.jsonl is not the file" in stillroom("verify", place).stdout
    stopped(stillroom("verify", "runs"), 1, "There is no data set at runs: it has no manifest.json.")
    assert "nothing has changed" in stillroom("check", path, "--set", "check.held_out=0.5").stderr
    assert stillroom("verify", folder).exit_code == 0, "a data set that lost something is written again"
    (folder / "held_out.jsonl").unlink()
    assert stillroom("check", path, "--set", "check.held_out=0.5").exit_code == 0
    assert stillroom("verify", folder).exit_code == 0
    assert stillroom("check", path).exit_code == 0
    assert not (folder / "held_out.jsonl").exists()
    assert stillroom("verify", folder).exit_code == 0


def test_look_without_a_run_lists_those_that_there_are(recipe: Callable[..., Path]) -> None:
    assert stillroom("look").stdout == "There are no runs in runs/ yet. stillroom demo makes one.\n"
    assert stillroom("look", "--json").stdout == "[]\n"
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("run", path).exit_code == 0
        assert stillroom("ask", path, "--set", "name=other").exit_code == 0
    Path("runs/not-a-run").mkdir()
    os.utime("runs/other/stages.json", (2_000_000_000, 2_000_000_000))
    runs = json.loads(stillroom("look", "--json").stdout)
    assert [(run["name"], run["done"], run["to_do"]) for run in runs] == [
        ("other", ["ask"], ["check", "exam"]),
        ("sums", ["ask", "check", "exam"], []),
    ]
    assert runs[0]["changed_at"] == 2_000_000_000_000_000
    shown = stillroom("look").stdout
    assert re.search(r"run +last changed +done +to do", shown)
    assert re.search(r"other +20\d\d-\d\d-\d\d \d\d:\d\d +ask +check, exam", shown)
    assert re.search(r"sums +20\d\d-\d\d-\d\d \d\d:\d\d +ask, check, exam +-", shown)


def test_a_reply_cannot_write_on_the_terminal(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(lambda _: Answer("\x1b[2J\x1b]0;mine\x07 [bold]3[/bold]")) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path).exit_code == 0
        assert stillroom("check", path).exit_code == 0
    shown = stillroom("look", "sums")
    assert "\x1b]" not in shown.stdout
    assert "\x07" not in shown.stdout
    assert "[bold]3[/bold]" in shown.stdout


def test_the_demos_recipe_is_shown() -> None:
    shown = stillroom("demo", "--print-recipe")
    assert shown.exit_code == 0
    assert "base_url: classroom" in shown.stdout


@pytest.mark.parametrize("name", [None, *(command.name for command in app.registered_commands)])
def test_every_command_has_help_with_an_example(name: str | None) -> None:
    shown = stillroom(*([name] if name else []), "--help")
    assert shown.exit_code == 0
    assert name is None or f"stillroom {name}" in shown.stdout
    taking_no_value = [
        line for line in shown.stdout.splitlines() if re.search(r"--(json|version|print-recipe)\b", line)
    ]
    assert not [line for line in taking_no_value if "<bool>" in line]


# Stopped by a problem that is named


def stopped(result: Result, exit_code: int, *words: str) -> None:
    assert result.exit_code == exit_code, result.output
    assert "Error: " in result.stderr
    for word in words:
        assert word in result.stderr
    assert "Traceback" not in result.stderr
    assert result.exception is None or isinstance(result.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["run"], "Missing argument"),
        (["fly"], "No such command"),
        (["run", "recipe.yaml", "--fast"], "No such option"),
        (["serve"], "no model to serve"),
        (["serve", "--model", ".", "--port", "eighty"], "valid integer"),
    ],
)
def test_wrong_usage(arguments: list[str], words: str) -> None:
    result = stillroom(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr


def test_a_recipe_that_is_wrong(recipe: Callable[..., Path]) -> None:
    path = recipe("http://127.0.0.1:1/v1")
    stopped(stillroom("run", "none.yaml"), 2, "There is no recipe none.yaml")
    stopped(stillroom("run", path, "--set", "ask.sampels=1"), 2, "did you mean samples?")
    Path("runs/sums").mkdir(parents=True)
    stopped(stillroom("run", "runs"), 2, "runs is a folder, not a recipe.", "Name a YAML file.")
    Path("runs/sums/recipe.yaml").touch()
    stopped(stillroom("run", "runs/sums"), 2, "runs/sums is a folder", "Its recipe is runs/sums/recipe.yaml.")
    path.write_text(path.read_text().replace("retries: 0", "retries: [0"))
    stopped(stillroom("run", path), 2, "line 4, column 34")


def test_nobody_answers(recipe: Callable[..., Path]) -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    stopped(stillroom("run", recipe(url), "--set", "ask.retries=1"), 1, url, "Start its server or mend base_url.")
    stopped(stillroom("run", recipe(url), "--set", "questions.0.count=1"), 1, url, "Start its server or mend")


def test_what_stops_in_the_middle_says_where_it_stands(recipe: Callable[..., Path]) -> None:
    failing = str(QUESTIONS[0]["question"])
    with MisbehavingTeacher(adds, faults_by_question={failing: [http_error(400)]}) as teacher:
        path = recipe(teacher.base_url)
        reached = stillroom("ask", path, "--set", "ask.max_calls=5")
        assert reached.exit_code == 3
        stopped_at, remedy, *note, spent, go_on = reached.stderr.splitlines()[-7:]
        assert stopped_at == "Stopped: One more call could pass max_calls: 5; 5 are spent."
        assert remedy == "Raise ask.max_calls to go on; what came is kept."
        assert note == [
            "7 of 12 samples are left to ask.",
            "1 sample failed: going on asks those again that may pass, stillroom ask --reask failed all of them.",
            "Calls that failed: 400 bad request 1.",
        ]
        assert spent == "Made so far: 5 calls."
        assert go_on.startswith("To go on: stillroom")
        assert stillroom("ask", path).exit_code == 0
    url = f"http://127.0.0.1:{unused_port()}/v1"
    unreachable = stillroom("ask", recipe(url), "--set", "name=other", "--set", "ask.retries=5")
    stopped(unreachable, 1, "Nobody answers", "12 of 12 samples are left to ask.\n", "no connection", "To go on: ")
    # A problem from before the first call is no place to go on from.
    stopped(stillroom("ask", "none.yaml"), 2, "There is no recipe")
    assert "To go on" not in stillroom("ask", "none.yaml").stderr


def test_what_the_system_refuses(recipe: Callable[..., Path]) -> None:
    path, long = recipe("http://127.0.0.1:1/v1"), "a" * 300
    stopped(
        stillroom("run", path, "--set", f"questions.0.path={long}"), 1, f"{long} cannot be read: File name too long."
    )
    stopped(stillroom("look", long), 1, "File name too long.")
    stopped(stillroom("serve", "--model", long), 1, "File name too long.")


def in_a_shell(command: str, **environment: str) -> subprocess.CompletedProcess[bytes]:
    """`stillroom` in `command` is the command."""
    program = f"{shlex.quote(sys.executable)} -m stillroom"
    return subprocess.run(
        ["bash", "-c", f'stillroom() {{ {program} "$@"; }}; {command}'],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
        timeout=300,
    )


def test_a_full_disk_says_where_the_run_stands(recipe: Callable[..., Path]) -> None:
    write_jsonl(Path("questions.jsonl"), [{"question": f"What is {n} + {n}?"} for n in range(1000)])
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        stopped_at = in_a_shell(f"ulimit -f 250; stillroom ask {path}")  # no file of more than 250 KiB
        said = stopped_at.stderr.decode()
        assert stopped_at.returncode == 1, said
        assert "Error: runs/sums/ask.sqlite could not be written: " in said
        assert re.search(r"^\d+ of 1,000 samples are left to ask\.\n", said, re.MULTILINE)
        assert re.search(r"^Made so far: \d+ calls", said, re.MULTILINE)
        assert f"To go on: stillroom ask {path}" in said
        paid = teacher.requests
        assert stillroom("ask", path).exit_code == 0
        assert teacher.requests < 1000 + paid


def test_what_is_done_needs_no_disk_to_be_shown(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("ask", path).exit_code == 0
        before = {file: file.stat().st_mtime_ns for file in Path("runs/sums").iterdir()}
        assert stillroom("ask", path).exit_code == 0
    assert {file: file.stat().st_mtime_ns for file in Path("runs/sums").iterdir()} == before


def test_when_the_memory_is_used_up(recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(pipeline, "check", fails)
    stopped(stillroom("check", recipe("http://127.0.0.1:1/v1")), 1, "There is no memory left.")


@pytest.mark.parametrize("streams", [">&-", ">&- 2>&- <&-", "2>/dev/full", "2> >(exec true)"])
def test_a_stream_that_is_closed_or_full_stops_no_run(recipe: Callable[..., Path], streams: str) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        result = in_a_shell(f"stillroom ask {path} {streams}")
        assert result.returncode == 0, result.stderr
        assert (b"12 replies" in result.stdout) == (">&-" not in streams.split())
        assert b"Traceback" not in result.stderr
        assert json.loads(Path("runs/sums/ask.json").read_text())["replies"] == 12
        assert Path("runs/sums/ask.sqlite").read_bytes().startswith(b"SQLite format 3")
        assert json.loads(Path("runs/sums/stages.json").read_text())


def test_a_terminal_that_knows_ascii_only(recipe: Callable[..., Path]) -> None:
    write_jsonl(Path("questions.jsonl"), [{"question": "Wie groß ist 2 + 3?"}])
    ascii_only = {"PYTHONIOENCODING": "ascii", "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        shown = in_a_shell(f"stillroom ask {path} && stillroom check {path} && stillroom look sums", **ascii_only)
        assert shown.returncode == 0, shown.stderr
        assert b"Wie gro? ist" in shown.stdout
        rows = in_a_shell("stillroom look sums --json", **ascii_only)
    assert "Wie groß ist" in str(json.loads(rows.stdout))


@pytest.mark.parametrize("file", ["stages.json", "ask.json", "check.json", "exam.json"])
@pytest.mark.parametrize("damage", ["[1]", "5", "{"])
def test_a_damaged_file_of_a_run(recipe: Callable[..., Path], file: str, damage: str) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("run", path).exit_code == 0
        Path("runs/sums", file).write_text(damage)
        stopped(stillroom("run", path), 1, f"runs/sums/{file} is not", "Delete it and run its stage again.")


def test_look_where_other_questions_were_asked_since(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        assert stillroom("run", path).exit_code == 0
        assert stillroom("ask", path, "--set", "questions.0.path=exam.jsonl").exit_code == 0
    shown = stillroom("look", "sums")
    assert shown.exit_code == 0, shown.stderr
    assert "The replies have changed since they were checked: run stillroom check." in shown.stdout
    assert "4 of 8 replies: not checked 8." in shown.stdout
    (run,) = json.loads(stillroom("look", "--json").stdout)
    assert (run["done"], run["to_do"]) == (["ask"], ["check", "exam"])


def test_the_key_is_refused(recipe: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with MisbehavingTeacher(adds, api_key="the-right-one") as teacher:
        path = recipe(teacher.base_url, ", api_key_env: SUMS_KEY")
        monkeypatch.delenv("SUMS_KEY", raising=False)
        stopped(stillroom("run", path), 2, "SUMS_KEY")
        assert teacher.requests == 0
        monkeypatch.setenv("SUMS_KEY", "the-wrong-one")
        result = stillroom("run", path)
        stopped(result, 1, "SUMS_KEY")
        assert "the-wrong-one" not in result.output
        assert not any("the-wrong-one" in str(file.read_bytes()) for file in Path("runs").rglob("*.*"))
        monkeypatch.setenv("SUMS_KEY", "the-right-one")
        assert stillroom("run", path).exit_code == 0


def test_there_is_no_such_model(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        stopped(stillroom("run", recipe(teacher.base_url), "--set", "teacher.model=taecher"), 1, "taecher")


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([{"answer": "3"}], "questions.jsonl"),
        ([{"question": "", "answer": "3"}], "questions.jsonl"),
        ([{"id": "a", "question": "one"}, {"id": "a", "question": "two"}], "another text"),
        ([], "questions"),
    ],
)
def test_questions_that_cannot_be_asked(recipe: Callable[..., Path], rows: list[dict[str, Any]], words: str) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        write_jsonl(Path("questions.jsonl"), rows)
        overrides = ["--set", "train.student=classroom", "--set", "exam.compare=[teacher, student]"]
        stopped(stillroom("run", path, *overrides), 1, words)
        assert teacher.requests == 0


def test_a_file_that_is_not_there(recipe: Callable[..., Path]) -> None:
    path = recipe("http://127.0.0.1:1/v1")
    stopped(stillroom("run", path, "--set", "questions.0.path=none.jsonl"), 1, "none.jsonl")
    stopped(stillroom("run", path, "--set", "train.student=./none"), 1, "There is no model at", "none")


@pytest.mark.parametrize("command", [["run"], ["ask"], ["ask", "--estimate"]])
@pytest.mark.parametrize(
    ("override", "exit_code", "words"),
    [
        ("teacher.api_key_env=NO_SUCH_KEY", 2, "NO_SUCH_KEY"),
        ("teacher.price=null", 2, "The price of teacher"),
        ("teacher.replicas=[http://a b/v1]", 2, "address"),
        ("ask.system={path: none.txt}", 1, "none.txt"),
        ("ask.examples={path: questions.jsonl}", 1, "An example has question"),
        ("questions.0.path=none.jsonl", 1, "none.jsonl"),
        ("questions.0.template='{no_such}'", 1, "no_such"),
        ("questions=[{from: reasoning-gym, task: leg_cuonting, count: 2}]", 2, "Did you mean leg_counting"),
        ("questions=[{from: file, path: questions.jsonl}, {from: file, path: bad.jsonl}]", 1, "bad.jsonl line 2"),
    ],
)
def test_what_fails_at_its_start_leaves_no_run(
    recipe: Callable[..., Path], command: list[str], override: str, exit_code: int, words: str
) -> None:
    Path("bad.jsonl").write_text('{"question": "a"}\n{"question": ""}\n')
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        stopped(stillroom(*command, path, "--set", override), exit_code, words)
        assert not Path("runs/sums").exists()
        assert stillroom("ask", path).exit_code == 0
        kept = Path("runs/sums/recipe.yaml").read_bytes()
        if override.startswith("questions"):  # what is there already stays as it was
            stopped(stillroom(*command, path, "--set", override), exit_code, words)
            assert json.loads(Path("runs/sums/ask.json").read_text())["replies"] == 12
            assert Path("runs/sums/recipe.yaml").read_bytes() == kept
        assert teacher.requests == 12


@pytest.mark.parametrize(
    "override",
    ["train.student=./none", "exam.questions.0.path=none.jsonl", "exam.questions.0.path=bad.jsonl"],
)
def test_a_run_whose_later_stages_cannot_begin_leaves_nothing(recipe: Callable[..., Path], override: str) -> None:
    Path("bad.jsonl").write_text("{}\n")
    stopped(
        stillroom("run", recipe("http://127.0.0.1:1/v1"), "--set", override), 1, "none" if "none" in override else "bad"
    )
    assert not Path("runs/sums").exists()


def test_a_model_that_is_not_there_leaves_no_run(recipe: Callable[..., Path]) -> None:
    path = recipe("http://nowhere/v1")
    path.write_text(path.read_text().replace('base_url: "http://nowhere/v1"', "serve: ./none"))
    stopped(stillroom("ask", path), 1, "There is no model folder")
    assert not Path("runs/sums").exists()


def test_a_stage_before_its_time(recipe: Callable[..., Path]) -> None:
    with MisbehavingTeacher(adds) as teacher:
        path = recipe(teacher.base_url)
        for command in ("check", "report"):
            stopped(stillroom(command, path), 1, "There is no run runs/sums yet")
        stopped(stillroom("look", "sums"), 2, "There is no run at runs/sums")
        assert stillroom("exam", path).exit_code == 0
        stopped(stillroom("check", path), 1, "has no replies.parquet yet", "stillroom ask")
        stopped(stillroom("train", path), 2, "has no train section")
        stopped(stillroom("train", path, "--set", "train.student=classroom"), 1, "has no traces.parquet yet")


def test_a_server_that_cannot_start(tmp_path: Path, tiny_model: Path) -> None:
    stopped(stillroom("serve", "--model", tmp_path / "none"), 1, "none")
    stopped(stillroom("serve", "--model", tmp_path, "--port", "0"), 1, "has no config.json")
    stopped(
        stillroom("serve", "--model", f"a={tiny_model}", "--model", f"a={tiny_model}"), 2, "Two models are called a"
    )
    for entry in ("", " ", "a=", "=", f"={tiny_model}"):
        stopped(stillroom("serve", "--model", entry), 2, f"--model {entry!r} is not of the form NAME=DIR or DIR.")
    words = ("can't listen on nowhere.invalid port 8000: ", "Listen on 127.0.0.1")
    stopped(stillroom("serve", "--model", tiny_model, "--host", "nowhere.invalid"), 1, *words)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        stopped(stillroom("serve", "--model", tiny_model, "--port", str(port)), 1, str(port), "choose another one")


# Stopped, and the same command goes on


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_stops_it_and_the_same_command_goes_on(recipe: Callable[..., Path], number: signal.Signals) -> None:
    with MisbehavingTeacher(adds, delay_s=(0.3, 0.3)) as teacher:
        path = recipe(teacher.base_url)
        process = subprocess.Popen(
            [sys.executable, "-m", "stillroom", "run", str(path), "--set", "ask.concurrency=2"],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )
        while teacher.requests < 5 and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(number)
        _, stderr = process.communicate(timeout=120)
        assert process.returncode == 3, stderr
        assert "Stopped. What was finished is kept.\n" in stderr
        assert re.search(r"^\d of 12 samples are left to ask\.\nMade so far: \d calls\.$", stderr, re.MULTILINE)
        assert f"To go on: stillroom run {path} --set ask.concurrency=2" in stderr
        assert "Traceback" not in stderr
        assert teacher.requests < 12
        result = stillroom("run", path, "--set", "ask.concurrency=2", "--json")
        assert result.exit_code == 0, result.stderr
        assert json.loads(result.stdout)["asked"] == 12
        assert teacher.requests <= 20 + 2
