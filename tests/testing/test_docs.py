"""docs/testing.md says what is: its examples run, its tables name what there is."""

from __future__ import annotations

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from stillroom.testing import LedgerEntry, MisbehavingTeacher
from stillroom.testing.faults import FAULTS
from stillroom.testing.script import RuleSettings, Script, load_script

PAGE = (Path(__file__).parents[2] / "docs" / "testing.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)


def table(heading: str) -> list[list[str]]:
    """The rows of the first table below a heading."""
    section = PAGE.partition(f"## {heading}\n")[2]
    rows = section.partition("\n|---")[2].partition("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def named(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


def test_its_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (script,) = blocks("yaml")
    Path("faults.yaml").write_text(script)
    namespace: dict[str, Any] = {}
    for block in blocks("python"):
        exec(block, namespace)
    tests = [name for name in namespace if name.startswith("test_")]
    assert len(tests) == len(blocks("python")) == 4
    for name in tests:
        namespace[name]()


def test_its_script_says_what_its_comments_say(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text(blocks("yaml")[0])
    script = load_script(path)
    assert [rule.fault for rule in script.faults] == [
        "rate_limited", "reset", "truncated_json", "internal_error", "other_model",
    ]  # fmt: skip
    assert [rule.share for rule in script.faults[:2]] == [0.05, 0.02]


def test_its_arguments_are_the_teachers() -> None:
    parameters = list(inspect.signature(MisbehavingTeacher).parameters)
    assert [name for row in table("In a test") for name in named(row[0])] == parameters


def test_its_keys_are_the_scripts() -> None:
    listed = {name: named(row[1]) for row in table("As a command") for name in named(row[0])}
    assert set(listed) == set(_keys(Script, ""))
    assert listed["limits.window"] == ["token_bucket"]
    assert Script().limits.window == "token_bucket"


def _keys(model: type[BaseModel], prefix: str) -> list[str]:
    keys: list[str] = []
    for name, field in model.model_fields.items():
        inner = [kind for kind in _models(field.annotation) if name != "faults"]
        keys += _keys(inner[0], f"{name}.") if inner else [prefix + name]
    return keys


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for argument in getattr(annotation, "__args__", ()) for model in _models(argument)]


def test_its_rules_and_entries_have_these_fields() -> None:
    assert {name for row in table("Rules") for name in named(row[0])} == set(RuleSettings.model_fields) - {"fault"}
    listed = [name for row in table("The ledger") for name in named(row[0])]
    assert listed == [field.name for field in fields(LedgerEntry)]


def test_its_faults_are_all_and_have_these_parameters() -> None:
    rows = {named(row[0])[0]: row for row in table("Faults")}
    assert list(rows) == list(FAULTS)
    needed: dict[str, Any] = {"status": 500, "seconds": 1.0, "body": b""}
    for name, function in FAULTS.items():
        parameters = inspect.signature(function).parameters
        assert named(rows[name][1]) == list(parameters), name
        fault = function(**{key: needed[key] for key, value in parameters.items() if value.default is value.empty})
        assert (rows[name][2] in ("yes", "prompt")) == fault.charged, name
