"""docs/watch.md: its commands and its Python run as they stand there, and what it says is held against the code."""

from __future__ import annotations

import configparser
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from math import log10
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.watch.call_log import bank
from typer.testing import CliRunner

from stillroom.cli import app
from stillroom.testing.traffic import START_AT, Traffic, benign
from stillroom.watch import campaigns
from stillroom.watch.calibration.drift import FEWEST, SOME
from stillroom.watch.calibration.shadow import FEWEST_WEEKS
from stillroom.watch.campaigns import FEWEST_QUESTIONS
from stillroom.watch.columns import CAPABILITIES
from stillroom.watch.detectors import RECENT_DAYS, WHOLE_DAYS
from stillroom.watch.explanations import MOST_OF_ONE_CUSTOMER
from stillroom.watch.links import groups, in_time, shared_keys
from stillroom.watch.links.habits import ORDERS, SHORTEST_DAYS
from stillroom.watch.signals.definitions import SIGNALS
from stillroom.watch.signals.measure import signals_of
from stillroom.watch.state import window_of
from stillroom.watch.window import Window

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "watch.md").read_text(encoding="utf-8")
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")
FENCED = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)
PYTHON = [block for language, block in FENCED if language == "python"]
BLOCKS = [block for language, block in FENCED if not language]
FIRST_RUN, SAID = BLOCKS[:2]
TIMES_ALONE = {"volume", "growth", "round_the_clock", "bursts", "steadiness"}
WORDS = " ".join(PAGE.split())


def said(command: str) -> str:
    words = shlex.split(command)
    assert words[0] == "stillroom"
    result = CliRunner().invoke(app, words[1:])
    assert result.exit_code == 0, (command, result.output)
    return result.stdout


def run(block: str) -> None:
    exec(compile(block, "docs/watch.md", "exec"), {})


@dataclass(frozen=True)
class FirstRun:
    folder: Path
    outputs: list[str]
    """Of each command."""


@pytest.fixture(scope="module")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    folder = tmp_path_factory.mktemp("first_run")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run(PYTHON[0])
        yield FirstRun(folder, [said(command) for command in FIRST_RUN.splitlines()])


def test_the_first_run_says_what_stands_there(first_run: FirstRun) -> None:
    assert len(first_run.outputs) == 5
    assert first_run.outputs[2] == SAID
    shown = first_run.outputs[3]
    assert shown.startswith(f"{FIRST_RUN.splitlines()[3].split()[3]}: open, 12 accounts of 12 organisations")
    assert "confirmed" in first_run.outputs[4]
    assert "shared address" in said("stillroom watch alarms --state state").splitlines()[-1]


def test_the_readmes_path_is_the_same() -> None:
    path = README.partition("\n## See distillation in your traffic\n")[2].partition("\n## ")[0]
    (block,) = re.findall(r"```\n(.*?)```", path, re.DOTALL)
    *commands, review = block.splitlines()
    assert commands == FIRST_RUN.splitlines()[:3]
    assert review == "stillroom watch review --state state"


def test_the_rest_of_the_python(
    first_run: FirstRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(first_run.folder)
    assert len(PYTHON) == 2
    run(PYTHON[1])
    assert capsys.readouterr().out.startswith("By language")


def test_an_account_is_forgotten(first_run: FirstRun, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(first_run.folder)
    (command,) = re.findall(r"^stillroom watch forget .*$", PAGE, re.MULTILINE)
    state = Path("state/watch/state")
    account = _accounts(state)[0]
    assert said(command.replace("acct_7Qm2", account)).startswith(f"Forgot {account}")
    assert account not in _accounts(state)
    assert account.encode() not in b"".join(path.read_bytes() for path in Path("state/watch/state").rglob("*.parquet"))


def _accounts(state: Path) -> list[str]:
    found = [pq.read_table(path, columns=["account"]) for path in (state / "activity").glob("*.parquet")]
    return sorted({str(name) for name in pa.concat_tables(found)["account"].to_pylist()})


def test_every_file_is_in_the_table(first_run: FirstRun) -> None:
    table = PAGE.partition("| in `STATE/watch` | |")[2].partition("\n\n")[0]
    names = re.findall(r"`([^`]+)`", " ".join(row.split("|")[1] for row in table.splitlines()[2:]))
    told = {name.rstrip("/") for name in names}
    watch = first_run.folder / "state" / "watch"
    inside = {f"state/{path.name}" for path in (watch / "state").iterdir()}
    there = {path.name for path in watch.iterdir() if path.name != "state"} | inside
    assert {name for name in there if "lock" not in name} == told


def test_every_other_command_is_one() -> None:
    commands = [line for block in BLOCKS[2:] for line in re.findall(r"(?:^|=/opt/\S+/|  )(stillroom .*)$", block, re.M)]
    assert len(commands) == 10
    for command in commands:
        words = [word for word in shlex.split(command)[1:] if not re.match(r"[A-Z]", word)]
        result = CliRunner().invoke(app, [*words, "--help"])
        assert result.exit_code == 0, (command, result.output)
        for option in (word for word in words if word.startswith("--")):
            assert option in result.stdout, command


def test_the_units_can_be_read() -> None:
    units = [block for block in BLOCKS if block.startswith("# /etc/systemd/")]
    assert len(units) == 2
    for unit in units:
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment,method-assign]
        parser.read_string(unit)
        assert "Unit" in parser


# What a missing column makes absent


@pytest.fixture(scope="module")
def traffic() -> Traffic:
    return benign(1, organisations=20, calls_per_organisation=300, twins=())


def needs() -> dict[str, set[str]]:
    """By what is in the first column of the table, the columns that it names."""
    table = PAGE.partition("| what | needs of a call |\n|---|---|\n")[2].partition("\n\n")[0]
    found: dict[str, set[str]] = {}
    for row in table.splitlines():
        what, columns = row.strip("| ").split(" | ")
        for name in re.findall(r"`(\w+)`", what) or [what]:
            found[name] = set(re.findall(r"`(\w+)`", columns)) & set(CAPABILITIES)
    return found


def window_without(traffic: Traffic, columns: set[str]) -> Window:
    calls = traffic.calls
    for name in columns:
        place = calls.column_names.index(name)
        calls = calls.set_column(place, name, pa.nulls(calls.num_rows, calls.schema.field(name).type))
    first = START_AT // 86_400_000_000
    return window_of(calls, traffic.sketches, None, [bank()], first, first + WHOLE_DAYS, splits={"problems": "train"})


@pytest.mark.parametrize(
    "columns",
    [
        {"model", "n", "asks_reasoning", "asks_logprobs", "asks_grading", "prompt_tokens", "turns"},
        {"prompt_print"},
        {"skeleton_print", "completion_tokens", "organisation", "user_print", "status"},
    ],
    ids=lambda columns: min(columns),
)
def test_what_needs_a_column_is_absent_without_it(traffic: Traffic, columns: set[str]) -> None:
    window = window_without(traffic, columns)
    assert window.missing == columns
    values = signals_of(window).values
    absent = {name for name, value in values.items() if np.isnan(value).all()}
    told = {signal.name for signal in SIGNALS if needs().get(signal.name, set()) & columns}
    assert absent - {"test_bank_coverage"} == told - {"test_bank_coverage"}  # no test split is among the banks here


def test_every_signal_and_every_column_is_in_the_table() -> None:
    assert {signal.name for signal in SIGNALS} <= needs().keys() | TIMES_ALONE
    assert all(f"`{name}`" in PAGE.partition("### Which column what needs")[2] for name in TIMES_ALONE)
    named = set().union(*needs().values())
    links = {"ip_print", "billing_print", "tls_print", "agent", "system_print", "organisation", "minhash"}
    assert links <= named


# The numbers


def test_the_numbers_are_those_of_the_code() -> None:
    told = {
        f"from **{FEWEST_QUESTIONS} questions** and": True,
        f"that is {10 * FEWEST_QUESTIONS:,} calls": campaigns._UNKNOWN_CONTENT == 1,
        f"a score of {log10(FEWEST_QUESTIONS):.2f} on": True,
        f"counts from {groups._FEWEST_QUESTIONS} questions on": True,
        f"in the last {WHOLE_DAYS} days": WHOLE_DAYS == 28,
        "in the last fourteen days": RECENT_DAYS == 14,
        "three organisations or more": groups.FEWEST_MEMBERS == 3,
        "a thousand calls together": groups._FEWEST_UNKNOWN == 1_000,
        "half of it.": groups._HOLDS == 0.5,
        "more than 60 %": groups._LARGEST_PART == 0.6,
        "more than a fifth are outside": groups._OTHERS == 0.2,
        "less than a fifth of its members' calls": groups._NARROW == 0.2,
        "It ties at 10⁻⁴ after that, or at 10⁻²⁰ before": (groups._SHARDS_LOG10_P, groups._WITHOUT_TOPICS_LOG10_P)
        == (-4, -20),
        "A key ties where P ≤ 10⁻⁴": shared_keys._LOG10_P == -4,
        "keys that no more than 2 % of all organisations (or two) hold": shared_keys._RARE_SHARE == 0.02,
        "those that no more than 2 % of all have": groups._RARE_ADDRESS == 0.02,
        "look at 400 members at most, and tie at 10⁻⁷": (in_time._MOST_MEMBERS, in_time._LOG10_P) == (400, -7),
        "need two weeks at least": SHORTEST_DAYS == 14,
        "up to 1,999 orders": max(count for _, count in ORDERS) == 1_999,
        "five organisations or fewer": MOST_OF_ONE_CUSTOMER == 5,
        "stability index 0.1 and more": SOME == 0.1,
        "over fifty organisations or more": FEWEST == 50,
        "fewer than two weeks": FEWEST_WEEKS == 2,
    }
    for words, holds in told.items():
        assert words in WORDS, words
        assert holds, words


@pytest.mark.parametrize("page", ["watch.md", "watch-limits.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target, _, place in re.findall(r"\]\(([\w./-]*)(#([\w-]+))?\)", (DOCS / page).read_text(encoding="utf-8")):
        text = (DOCS / (target or page)).read_text(encoding="utf-8")
        headings = {
            re.sub(r"[^\w -]", "", line).lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)$", text, re.M)
        }
        assert not place or place in headings, (target, place)
