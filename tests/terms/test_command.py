"""`stillroom terms`, and that `ask`, `run` and `ask --estimate` need a grant before the first call."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from stillroom.cli import app
from stillroom.store.tables import query
from stillroom.terms.grants import read_grant
from stillroom.terms.ledger import read_ledger
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing.owner import Owner


@pytest.fixture(autouse=True)
def permissions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's file of permissions, which is not there yet. The current folder is a new one."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "permissions.toml"
    monkeypatch.setenv("STILLROOM_PERMISSIONS", str(path))
    return path


def stillroom(*arguments: str | Path) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def allow(terms: str, *more: str) -> Result:
    Path("letter.pdf").write_bytes(b"You may.")
    return stillroom("terms", "allow", terms, "--document", "letter.pdf", "--by", "Jane Doe", *more)


def recipe(base_url: str, terms: str | None) -> Path:
    Path("questions.jsonl").write_text(json.dumps({"question": "What is 1 + 1?", "answer": "2"}) + "\n")
    said = f", terms: {terms}" if terms else ""
    path = Path("recipe.yaml")
    path.write_text(
        f'name: sums\nteacher: {{model: teacher, base_url: "{base_url}", price: none{said}}}\n'
        "questions: [{from: file, path: questions.jsonl}]\n"
    )
    return path


# The ledger


def test_list_names_every_entry() -> None:
    shown = stillroom("terms", "list")
    assert shown.exit_code == 0
    for entry in read_ledger().values():
        (line,) = (line for line in shown.stdout.splitlines() if line.split()[:1] == [entry.id])
        assert entry.name in line  # whole: a pipe has no width
    assert "This is not legal advice" in shown.stdout
    listed = json.loads(stillroom("terms", "list", "--json").stdout)
    assert [each["entry"]["id"] for each in listed] == list(read_ledger())
    assert {each["permission"] for each in listed} == {None}


def test_show_says_the_verdict_why_and_what_it_rests_on() -> None:
    shown = stillroom("terms", "show", "llama-3.1").stdout
    entry = read_ledger()["llama-3.1"]
    for part in (
        "Outputs may train another model: conditions",
        f"Why: {entry.why}",
        "Condition: its name begins with Llama",
        f"Document: {entry.source} ({entry.document_date})",
        f"Read on {entry.read_on}",
    ):
        assert part in shown
    assert json.loads(stillroom("terms", "show", "llama-3.1", "--json").stdout)["entry"]["id"] == "llama-3.1"
    assert "write both: terms: together + ITS-ENTRY" in stillroom("terms", "show", "together").stdout


@pytest.mark.parametrize(
    ("entry", "said"),
    [("lama-3.1", "Did you mean llama-3.1"), ("nothing-like-it", "terms list names all"), ("own", "own is no entry")],
)
def test_show_of_what_is_not_there(entry: str, said: str) -> None:
    shown = stillroom("terms", "show", entry)
    assert shown.exit_code == 2
    assert said in shown.stderr


# A written permission


def test_allow_records_a_permission_which_is_shown_from_then_on(permissions: Path) -> None:
    done = allow("openai-api", "--note", "for our course")
    assert done.exit_code == 0, done.stderr
    assert "Permission for openai-api, given by Jane Doe" in done.stdout
    assert f"It is recorded in {permissions}." in done.stdout
    shown = stillroom("terms", "show", "openai-api").stdout
    assert "Outputs may train another model: forbidden" in shown
    assert "Document: letter.pdf, sha256:" in shown
    assert "Note: for our course" in shown
    assert stillroom("terms", "list").stdout.count("permission") == 1
    listed = json.loads(stillroom("terms", "list", "--json").stdout)
    assert [each["entry"]["id"] for each in listed if each["permission"]] == ["openai-api"]


def test_allow_of_terms_that_the_ledger_has_not() -> None:
    done = json.loads(allow("our-contract-7", "--json").stdout)
    assert (done["entry"], done["permission"]["by"]) == (None, "Jane Doe")
    assert "our-contract-7 is not in the ledger" in stillroom("terms", "list").stdout
    assert "our-contract-7 is not in the ledger." in stillroom("terms", "show", "our-contract-7").stdout


def test_allow_without_a_document() -> None:
    done = stillroom("terms", "allow", "openai-api", "--document", "none.pdf", "--by", "Jane Doe")
    assert done.exit_code == 2
    assert "There is no document none.pdf." in done.stderr


# Before the first call


@pytest.mark.parametrize("arguments", [("ask",), ("run",), ("ask", "--estimate")])
@pytest.mark.parametrize(
    ("terms", "exit_code", "said"),
    [
        (None, 2, "teacher.terms is missing"),
        ("lama-3.1", 2, "Did you mean llama-3.1"),
        ("llama-2", 1, "forbids that its outputs train another model"),
        ("cohere-api", 1, "is not known"),
    ],
)
def test_without_a_grant_nobody_is_asked(
    arguments: tuple[str, ...], terms: str | None, exit_code: int, said: str
) -> None:
    with MisbehavingTeacher(lambda _: Answer("2")) as teacher:
        done = stillroom(*arguments, recipe(teacher.base_url, terms))
        assert teacher.requests == 0
    assert done.exit_code == exit_code, done.output
    assert said in " ".join(done.stderr.split())
    assert "stillroom terms allow" in " ".join(done.stderr.split())
    assert not Path("runs").exists()


def test_what_was_granted_is_kept_with_the_run_its_rows_and_its_data_set() -> None:
    with MisbehavingTeacher(lambda _: Answer("2")) as teacher:
        assert stillroom("run", recipe(teacher.base_url, "llama-2")).exit_code == 1
        assert allow("llama-2").exit_code == 0
        done = stillroom("run", recipe(teacher.base_url, "llama-2"))
    assert done.exit_code == 0, done.stderr
    run = Path("runs/sums")
    grant = read_grant(run)
    assert grant is not None
    assert grant.by == ("permission",)
    assert grant.entries[0].permission is not None
    assert grant.entries[0].permission.by == "Jane Doe"
    assert (run / "dataset" / "grant.json").read_bytes() == (run / "grant.json").read_bytes()
    assert "grant.json" in json.loads((run / "dataset" / "manifest.json").read_text())["files"]
    assert query("select distinct terms_id as terms from traces", traces=run / "traces.parquet").to_pylist() == [
        {"terms": "llama-2"}
    ]
    card = " ".join((run / "dataset" / "README.md").read_text(encoding="utf-8").split())
    assert "Jane Doe gave a written permission for llama-2: letter.pdf" in card
    assert json.loads((run / "summary.json").read_text())["terms"] == "llama-2"


def test_other_terms_make_another_data_set() -> None:
    with MisbehavingTeacher(lambda _: Answer("2")) as teacher:
        assert stillroom("run", recipe(teacher.base_url, "own")).exit_code == 0
        assert stillroom("run", recipe(teacher.base_url, "gemma")).exit_code == 0
        assert teacher.requests > 0
    card = Path("runs/sums/dataset/README.md").read_text(encoding="utf-8")
    assert "Asked of a model that learns from these rows, under `gemma`:" in card
    traces = Path("runs/sums/traces.parquet")
    assert query("select distinct terms_id as terms from traces", traces=traces).to_pylist() == [{"terms": "gemma"}]


def test_a_damaged_file_of_permissions_is_said_and_nobody_is_asked(permissions: Path) -> None:
    permissions.write_text("[[permission]]\n")
    with MisbehavingTeacher(lambda _: Answer("2")) as teacher:
        done = stillroom("ask", recipe(teacher.base_url, "own"))
        assert teacher.requests == 0
    assert done.exit_code == 1
    assert "permissions.toml holds what is no permission" in " ".join(done.stderr.split())


def test_a_permit_grants_what_no_terms_say_and_an_earlier_one_stays_known() -> None:
    owner = Owner()
    with MisbehavingTeacher(lambda _: Answer("2"), owner=owner) as teacher:
        path = recipe(teacher.base_url, None)
        for number, condition in enumerate(("not for spells", "not for sale")):
            Path("the.permit").write_text(owner.permit(jti=f"permit-{number}", conditions=[condition]))
            done = stillroom("run", path, "--set", "teacher.permit=the.permit")
            assert done.exit_code == 0, done.stderr
    grant = read_grant(Path("runs/sums"))
    assert grant is not None
    assert (grant.terms, grant.by) == (None, ("permit",))
    assert [each.id for each in grant.permits] == ["permit-0", "permit-1"]
    traces = Path("runs/sums/traces.parquet")
    assert query("select distinct terms_id as terms from traces", traces=traces).to_pylist() == [{"terms": "permit"}]
    card = Path("runs/sums/dataset/README.md").read_text(encoding="utf-8")
    for said in ("under `permit permit-0`:", "- its name is student", "- not for spells", "- not for sale"):
        assert said in card


def test_a_permit_that_is_none() -> None:
    Path("the.permit").write_text("yes, you may")
    with MisbehavingTeacher(lambda _: Answer("2")) as teacher:
        done = stillroom("run", recipe(teacher.base_url, None), "--set", "teacher.permit=the.permit")
        assert teacher.requests == 0
    assert done.exit_code == 2
    assert "the.permit is not a permit" in " ".join(done.stderr.split())
