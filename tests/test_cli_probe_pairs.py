"""`stillroom probe pairs`, `import` and `thirds`, on a state folder and on files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from tests.escrowed_calls import escrowing_gateway
from typer.testing import CliRunner, Result

from stillroom.cli_probe_pairs import register
from stillroom.probe.exclusions import IN_WORDS
from stillroom.probe.pairs import read_gathered
from stillroom.store.siblings import OPENINGS, PAIRS, Answer, read_rows
from stillroom.testing import MisbehavingTeacher

SETTINGS = """\
owner: Abacus Models
state: state
models: [{name: abacus, upstreams: [{base_url: "http://127.0.0.1:1/v1"}]}]
"""

app = typer.Typer()
register(app)


def stillroom(*words: object) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200", "NO_COLOR": "1"})


def said(*words: object) -> str:
    result = stillroom(*words)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gateway")
    (folder / "gateway.yaml").write_text(SETTINGS)
    with escrowing_gateway(folder) as gateway:
        for number in range(3):
            gateway.serve(f"Question {number}", f"First {number}", f"Second {number}")
        gateway.serve("Alike", "same", "same")
        gateway.serve("Greedy", "one", None, temperature=0.0)
        gateway.serve("Theirs", "one", "two", account="acct_2")
    return folder / "gateway.yaml"


def test_pairs_are_laid_out_and_what_was_left_out_is_told(config: Path, tmp_path: Path) -> None:
    result = stillroom("pairs", "--config", config, "--account", "acct_1", "--out", tmp_path / "probe", "--by", "Olga")
    assert "open: 4 of 4" in result.stderr
    told = result.stdout
    for words in (
        "4 pairs of replies found, 3 kept",
        "3 of acct_1",
        "1: the two are the same",
        "1: at temperature zero",
    ):
        assert words in told
    assert "acct_2" not in told
    there = read_gathered(tmp_path / "probe")
    assert (len(there.pairs), there.escrow) == (3, config.parent / "state" / "escrow")
    again = stillroom("pairs", "--config", config, "--out", tmp_path / "probe")
    assert (again.exit_code, "there already" in again.stderr) == (2, True)
    actions = (config.parent / "state" / "escrow" / "actions.jsonl").read_text().splitlines()
    assert [json.loads(line)["by"] for line in actions] == ["Olga"]  # of the second command none was opened
    counts = json.loads(said("pairs", "--config", config, "--out", tmp_path / "all", "--json"))
    assert counts["by_account"] == {"acct_1": 3, "acct_2": 1}
    assert (counts["found"], counts["left_out"]) == (5, {"identical": 1})
    counts = json.loads(said("pairs", "--config", config, "--out", tmp_path / "one", "--most", "1", "--json"))
    assert counts["left_out"] == {"not_needed": 2, "identical": 1}
    assert counts["balance"]["pairs"] == 2
    assert "of 3 (fair coins: p = " in told


def test_where_there_is_nothing_to_compare_the_reasons_are_told(config: Path, tmp_path: Path) -> None:
    nothing = stillroom("pairs", "--config", config, "--account", "acct_3", "--out", tmp_path / "probe")
    assert nothing.exit_code == 2
    assert "There is nothing to compare. 0 pairs of replies found" in nothing.stderr
    by_name = stillroom("pairs", "--config", config, "--account", "Acme", "--out", tmp_path / "probe")
    assert (by_name.exit_code, "is no account's id" in by_name.stderr) == (2, True)
    (tmp_path / "rows.jsonl").write_text('{"messages": "Q", "served": "a", "sealed": "a"}\n')
    alike = stillroom("import", tmp_path / "rows.jsonl", "--out", tmp_path / "probe")
    assert (alike.exit_code, "the two are the same" in alike.stderr) == (2, True)
    assert not (tmp_path / "probe").exists()


def test_imported_pairs_are_called_what_they_are(tmp_path: Path) -> None:
    rows = [{"messages": f"Q{number}", "served": "a", "sealed": "b"} for number in range(2)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = said("import", tmp_path / "rows.jsonl", "--out", tmp_path / "probe")
    assert "2 pairs of replies found, 2 kept" in told
    assert "is assumed" in told
    assert "The first of two replies" not in told  # nobody tossed for it
    counts = json.loads(said("import", tmp_path / "rows.jsonl", "--out", tmp_path / "other", "--json"))
    assert counts["pairs"] == 2


def test_lengths_that_no_coin_gives_are_told_of(tmp_path: Path) -> None:
    rows = [{"messages": f"Q{n}", "served": f"a{n}", "sealed": f"b{n} and more"} for n in range(12)]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    told = said("import", tmp_path / "rows.jsonl", "--out", tmp_path / "probe")
    assert "The served one is the longer 0 times, the shorter 12 (fair coins: p = 0.00049)." in told
    assert "pairs may be missing by what was served" in told
    counts = json.loads(said("import", tmp_path / "rows.jsonl", "--out", tmp_path / "other", "--json"))
    assert (counts["balance"]["served_longer"], counts["balance"]["served_shorter"]) == (0, 12)


def test_further_draws_of_the_teacher(config: Path, tmp_path: Path) -> None:
    probe = tmp_path / "probe"
    said("pairs", "--config", config, "--account", "acct_1", "--out", probe)
    with MisbehavingTeacher() as teacher:
        where = ("thirds", probe, "--model", "teacher", "--base-url", teacher.base_url, "--price", "none")
        assert "6 replies drawn (6 stop)" in said(*where, "--samples", "2")
        assert json.loads(said(*where, "--json"))["drawn"] == 12
        assert teacher.requests == 12
        assert stillroom(*where, "--plan", "none").exit_code == 2
    questions = [pair.question_id for pair in read_gathered(probe).pairs]
    drawn = [(third.question_id, third.sample) for third in read_rows(probe / "thirds.parquet", Answer)]
    assert drawn == [(question, sample) for question in questions for sample in range(4)]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--base-url", "nowhere"), "an address must look like"),
        (
            ("--base-url", "http://127.0.0.1:1", "--api-key-env", "sk-123"),
            "must be the name of an environment variable",
        ),
        (("--base-url", "http://127.0.0.1:1", "--price", "none", "--budget-usd", "0"), "budget_usd"),
    ],
)
def test_what_is_written_wrongly_is_named(config: Path, tmp_path: Path, words: tuple[str, ...], told: str) -> None:
    said("pairs", "--config", config, "--account", "acct_1", "--out", tmp_path / "probe")
    result = stillroom("thirds", tmp_path / "probe", "--model", "m", *words)
    assert (result.exit_code, told in result.stderr) == (2, True), result.stderr


def test_the_page_names_every_reason_column_and_command() -> None:
    page = (Path(__file__).parents[1] / "docs" / "probe-pairs.md").read_text(encoding="utf-8")
    section = page.partition("## What is left out\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", section, flags=re.MULTILINE)
    assert dict(rows) == dict(IN_WORDS)
    for name, schema in (("pairs", PAIRS), ("openings", OPENINGS)):
        columns = page.partition(f"| `{name}.parquet` | |\n")[2].partition("\n\n")[0]
        assert re.findall(r"`(\w+)`(?=[^|]*\|[^|]*\|$)", columns, flags=re.MULTILINE) == schema.names
    help_of = {name: stillroom(name, "--help").stdout for name in ("pairs", "import", "thirds")}
    for name in re.findall(r"^stillroom probe (\w+) ", page, flags=re.MULTILINE):
        assert "Example:" in help_of.pop(name)
    assert not help_of
