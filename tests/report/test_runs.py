"""Which stages of a run count as done."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from stillroom.report.runs import list_runs
from stillroom.report.staleness import is_stale
from stillroom.store.files import write_json
from stillroom.store.stages import file_digest


def finish(folder: Path, **stages: list[str]) -> None:
    """Write down that these stages have finished, with these tables as they now are."""
    known = {}
    for name, inputs in stages.items():
        stage = name.replace("_", " ")
        left = folder / ("train/sft/train.json" if stage == "train sft" else f"{stage}.json")
        left.parent.mkdir(parents=True, exist_ok=True)
        write_json(left, {})
        os.utime(left, (100, 100))
        known[stage] = {"settings": "sha256:x", **{table: file_digest(folder / table) for table in inputs}}
    write_json(folder / "stages.json", known)


@pytest.fixture
def run(tables: Any) -> Path:
    """A run of which everything is done."""
    tables.check()
    folder = Path(tables.folder)
    finish(
        folder,
        ask=["questions.parquet"],
        check=["questions.parquet", "replies.parquet"],
        train_sft=["traces.parquet"],
        exam=[],
    )
    return folder


def done(folder: Path) -> tuple[list[str], list[str]]:
    (run,) = list_runs(folder.parent)
    return run["done"], run["to_do"]


def test_all_is_done_while_the_tables_are_what_the_stages_read(run: Path) -> None:
    assert done(run) == (["ask", "check", "train", "exam"], [])
    os.utime(run / "replies.parquet", (200, 200))  # written again, with the same replies
    assert done(run) == (["ask", "check", "train", "exam"], [])


@pytest.mark.parametrize(
    ("changed", "still"),
    [("replies.parquet", ["ask"]), ("traces.parquet", ["ask", "check"]), ("questions.parquet", [])],
)
def test_what_was_made_from_an_older_table_is_to_do_and_all_after_it(run: Path, changed: str, still: list[str]) -> None:
    with (run / changed).open("ab") as file:
        file.write(b"more")
    assert done(run) == (still, [stage for stage in ("ask", "check", "train", "exam") if stage not in still])


def test_a_table_that_is_older_than_the_stage_is_not_read(run: Path) -> None:
    with (run / "replies.parquet").open("ab") as file:
        file.write(b"more")
    os.utime(run / "replies.parquet", (50, 50))
    assert not is_stale(run, "check")


def test_a_stage_that_has_not_finished_is_not_stale(run: Path) -> None:
    (run / "replies.parquet").unlink()
    assert not is_stale(run, "check")
    finish(run, ask=["questions.parquet"])
    assert not is_stale(run, "check")
    (run / "stages.json").unlink()
    assert done(run) == ([], ["ask", "check", "train", "exam"])
