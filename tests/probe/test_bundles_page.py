"""docs/probe-bundles.md and the pages of the formats name every key, every file and every command that there is."""

from __future__ import annotations

import re
import shlex
from dataclasses import fields
from pathlib import Path
from typing import get_args

import pytest
import typer

from stillroom.cli_probe import probe_commands
from stillroom.probe.asked import Asked
from stillroom.probe.bundle import BUNDLE_TYPE, OPTIONAL, REQUIRED, BundleFile, Manifest
from stillroom.probe.choosing import Reason
from stillroom.probe.pack import KEYS, LOG, PAIRS, PLAN, STAMPS
from stillroom.probe.plan import Plan
from stillroom.probe.plan_log import RECORD_TYPE, Event, LogRecord
from stillroom.probe.statement import AccountResult, Asking, Counts, LogSummary, Picture, Result, Statement
from stillroom.store.siblings import ANSWERS, LIKELIHOODS
from stillroom.store.siblings import PAIRS as PAIRS_TABLE

DOCS = Path(__file__).parents[2] / "docs"


def page(name: str) -> str:
    return (DOCS / name).read_text(encoding="utf-8")


def words(name: str) -> set[str]:
    return set(re.findall(r"[\w.-]+", page(name))) | set(re.findall(r"`([^`]+)`", page(name)))


def test_every_key_of_a_plan_and_of_its_log_is_named() -> None:
    named = words("formats/probe-plan.md")
    assert {*Plan.model_fields, *LogRecord.model_fields} <= named
    assert {*get_args(Reason), *get_args(Event)} <= named
    assert RECORD_TYPE in named


def test_every_file_and_key_of_a_bundle_is_named() -> None:
    named = words("formats/probe-bundle.md")
    assert named >= REQUIRED | OPTIONAL
    assert {*Manifest.model_fields, *BundleFile.model_fields, BUNDLE_TYPE} <= named
    assert {each.name for each in fields(Statement)} <= named
    for part in (Asking, Counts, LogSummary, Picture):
        assert {each.name for each in fields(part)} <= named, part
    assert {each.name for each in fields(Result)} - {"measure"} <= named
    assert {each.name for each in fields(AccountResult)} - {"account", "pairs", "result"} <= named


def test_every_file_and_column_of_a_pack_and_of_answers_is_named() -> None:
    named = words("formats/probe-pack.md")
    assert {PLAN, PAIRS, LOG, KEYS} <= named
    assert f"`{STAMPS}/`" in page("formats/probe-pack.md")
    for table in (PAIRS_TABLE, ANSWERS, LIKELIHOODS):
        assert set(table.names) <= named
    told = {name for name, field in Asked.model_fields.items() if field.is_required()}
    assert told - {"schema_version"} <= named


def typed() -> list[str]:
    """Every command that the page has, in its blocks and in its table."""
    text = page("probe-bundles.md")
    return sorted({*re.findall(r"^stillroom probe .*$", text, re.M), *re.findall(r"`(stillroom probe [^`]+)`", text)})


@pytest.mark.parametrize("line", typed())
def test_the_commands_of_the_page_are_those_that_there_are(line: str) -> None:
    _, _, name, *arguments = shlex.split(line)
    group = typer.main.get_command(probe_commands)
    command = group.commands[name]  # type: ignore[attr-defined]
    options = {option for parameter in command.params for option in parameter.opts}
    assert {word for word in arguments if word.startswith("--")} <= options
    command.make_context(name, arguments)  # raises where an argument is missing


def test_the_page_has_a_command_for_each_side() -> None:
    assert {shlex.split(line)[2] for line in typed()} >= {"plan", "pack", "ask", "test", "give", "verify", "abandon"}
