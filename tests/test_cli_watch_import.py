"""`stillroom watch import`, as a person types it."""

from __future__ import annotations

import json
from pathlib import Path

import typer
from typer.testing import CliRunner

from stillroom.cli_watch_import import register

GOOD = '::1 - acct-{} [14/Oct/2024:09:00:00 +0000] "POST /v1/completions HTTP/1.1" {} 1 "-" "bot/1"\n'


def run(folder: Path, *arguments: str, mapping: str = "name: front\nformat: combined\n") -> tuple[int, str, str]:
    app = typer.Typer()
    register(app)
    app.callback()(lambda: None)
    (folder / "mapping.yaml").write_text(mapping, encoding="utf-8")
    named = ["--mapping", folder / "mapping.yaml", "--out", folder / "out", "--secret", folder / "state"]
    result = CliRunner().invoke(app, ["import", str(folder / "access.log"), *map(str, named), *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_what_it_says(tmp_path: Path) -> None:
    lines = [GOOD.format(1, 200), GOOD.format(1, 499), GOOD.format(2, 401), "nonsense\n"]
    (tmp_path / "access.log").write_text("".join(lines), encoding="utf-8")
    code, said, _ = run(tmp_path)
    assert code == 0
    assert "Imported 2 calls of front (2024-10-14), from 4 rows." in said
    assert "1 row left out: turned away before a model was asked." in said
    assert "1 row rejected: it is no line of a combined access log." in said
    assert "Not known of any call, so that what needs them is absent: key_id, model," in said
    assert (tmp_path / "state/secret").stat().st_mode & 0o077 == 0
    assert "A new secret was made in" in said
    code, said, _ = run(tmp_path)
    assert "A new secret" not in said
    assert (code, "2 rows had been imported before." in said) == (0, True)


def test_for_machines(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text(GOOD.format(1, 200), encoding="utf-8")
    code, said, _ = run(tmp_path, "--json")
    told = json.loads(said)
    assert (code, told["rows"], told["calls"], told["rejected_rows"]) == (0, 1, 1, None)
    assert Path(told["manifest"]).is_file()


def test_what_a_person_can_mend(tmp_path: Path) -> None:
    (tmp_path / "access.log").write_text("nonsense\n", encoding="utf-8")
    code, _, said = run(tmp_path)
    assert (code, "none of 1 row" in said) == (1, True)
    code, _, said = run(tmp_path, mapping="name: front\nformat: combind\n")
    assert (code, "line 2" in said) == (2, True)
    assert "Traceback" not in said
