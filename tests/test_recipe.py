"""A recipe: what is read, what is refused, and in which words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from stillroom.base.errors import RecipeError, UsageError
from stillroom.recipe import Recipe, load_recipe
from stillroom.text.plain_yaml import read_yaml

GOOD = """\
name: abacus
teacher:
  model: some-model
  base_url: https://teacher.example/v1
  api_key_env: SOME_KEY
questions:
  - {from: file, path: problems.jsonl}
  - {from: reasoning-gym, task: leg_counting, count: 20, seed: 7}
  - {from: classroom, split: train, count: 5}
ask: {samples: 4, temperature: 0.7}
check: {keep: shortest_right, per_question: 2}
train: {student: some-owner/some-model, learning_rate: 1e-3}
exam:
  questions: [{from: reasoning-gym, task: leg_counting, count: 10, seed: 99}]
"""


def write(folder: Path, text: str = GOOD, old: str = "", new: str = "") -> Path:
    assert old in text
    path = folder / "recipe.yaml"
    path.write_text(text.replace(old, new) if old else text)
    return path


def test_the_values_reach_the_stages_own_settings(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    assert recipe.name == "abacus"
    assert recipe.ask.samples == 4
    assert recipe.check.keep == "shortest_right"
    assert recipe.train is not None
    assert recipe.train.learning_rate == 0.001
    assert recipe.train.student == "some-owner/some-model"
    assert recipe.exam is not None
    assert recipe.exam.compare == ("teacher", "base", "answers_only", "student")
    assert [source.from_ for source in recipe.questions] == ["file", "reasoning-gym", "classroom"]


def test_a_resolved_recipe_is_a_recipe_and_the_same_one(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    elsewhere = tmp_path / "runs" / "abacus"
    elsewhere.mkdir(parents=True)
    again = load_recipe(write(elsewhere, recipe.to_yaml()))
    assert again == recipe
    assert again.to_yaml() == recipe.to_yaml()
    assert recipe.to_yaml().splitlines()[0] == f"# digest: {recipe.digest}"


def test_the_digest_follows_values_and_not_how_they_are_written(tmp_path: Path) -> None:
    digest = load_recipe(write(tmp_path)).digest
    assert load_recipe(write(tmp_path, GOOD, "learning_rate: 1e-3", "learning_rate: 0.001")).digest == digest
    assert (
        load_recipe(write(tmp_path, GOOD, "samples: 4, temperature: 0.7", "temperature: 0.7, samples: 4")).digest
        == digest
    )
    assert load_recipe(write(tmp_path, GOOD, "samples: 4", "samples: 5")).digest != digest


def test_a_recipe_cannot_be_changed(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path))
    with pytest.raises(ValueError, match="frozen"):
        recipe.name = "other"


def test_an_empty_section_is_left_as_it_is(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD, "check: {keep: shortest_right, per_question: 2}", "check:"))
    assert recipe.check.keep == "all_right"


# Paths


def test_paths_are_taken_from_the_recipes_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "elsewhere").mkdir()
    text = GOOD.replace("base_url: https://teacher.example/v1", "serve: ../big").replace(
        "some-owner/some-model", "model"
    )
    path = write(tmp_path, text)
    monkeypatch.chdir(tmp_path / "elsewhere")
    recipe = load_recipe(path)
    assert recipe.questions[0].from_ == "file"
    assert recipe.questions[0].path == str(tmp_path / "problems.jsonl")
    assert recipe.teacher is not None
    assert recipe.teacher.serve == str(tmp_path.parent / "big")
    assert recipe.train is not None
    assert recipe.train.student == str(tmp_path / "model")


def test_paths_of_overrides_are_taken_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    path = write(tmp_path)
    monkeypatch.chdir(tmp_path / "here")
    recipe = load_recipe(path, ["questions.0.path=mine.jsonl"])
    assert recipe.questions[0].from_ == "file"
    assert recipe.questions[0].path == str(tmp_path / "here" / "mine.jsonl")


def test_permits_lie_where_the_recipe_says(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path), ["check.judge={model: m, base_url: 'https://j/v1', permit: j.jws}"])
    assert recipe.check.judge is not None
    assert recipe.check.judge.permit == str(Path.cwd() / "j.jws")
    path = write(tmp_path, GOOD, "  api_key_env: SOME_KEY\n", "  permit: permits/mine.jws\n")
    teacher = load_recipe(path).teacher
    assert teacher is not None
    assert teacher.permit == str(tmp_path / "permits" / "mine.jws")


def test_a_home_that_is_not_there_is_a_name(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, GOOD, "problems.jsonl", "~nobody-of-this-name/problems.jsonl"))
    assert recipe.questions[0].from_ == "file"
    assert recipe.questions[0].path == str(tmp_path / "~nobody-of-this-name" / "problems.jsonl")


# The teacher


def test_the_embedded_teacher_needs_no_address(tmp_path: Path) -> None:
    teacher = load_recipe(write(tmp_path, GOOD, "https://teacher.example/v1", "classroom")).teacher
    assert teacher is not None
    assert teacher.base_url == "classroom"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (GOOD[GOOD.index("teacher:") : GOOD.index("questions:")], "", "teacher is missing; only a recipe with an exam"),
        (GOOD[GOOD.index("questions:") : GOOD.index("ask: {")], "", "questions should have at least one entry; only a"),
    ],
)
def test_without_an_examination_alone_teacher_and_questions_are_needed(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(RecipeError, match=message):
        load_recipe(write(tmp_path, GOOD, old, new))


# Overrides


@pytest.mark.parametrize(
    ("override", "value"),
    [("ask.samples=8", 8), (" ask.samples = 8", 8), ("ask.samples=0x8", None), ("ask.samples=true", None)],
)
def test_an_override_is_a_yaml_value(tmp_path: Path, override: str, value: int | None) -> None:
    path = write(tmp_path)
    if value is None:
        with pytest.raises(RecipeError, match=r"ask\.samples: should be a whole number"):
            load_recipe(path, [override])
    else:
        assert load_recipe(path, [override]).ask.samples == value


def test_overrides_reach_lists_sections_left_out_and_free_keys(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD, "ask: {samples: 4, temperature: 0.7}\n", "")
    recipe = load_recipe(
        path,
        ["ask.samples=2", "questions.1.count=3", "teacher.extra_body.top_k=5", "exam.compare=[teacher]", "train="],
    )
    assert recipe.ask.samples == 2
    assert recipe.questions[1].count == 3
    assert recipe.teacher is not None
    assert recipe.teacher.extra_body == {"top_k": 5}
    assert recipe.exam is not None
    assert recipe.exam.compare == ("teacher",)
    assert recipe.train is None


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("ask.samples", "--set ask.samples is not of the form KEY.KEY=VALUE"),
        ("=3", "--set =3 is not of the form"),
        ("ask..samples=3", "is not of the form"),
        ("name.first=3", "nothing below a single value"),
        ("questions.7.count=3", "7 is not a position in this list of 3"),
        ("questions.first.count=3", "first is not a position in this list of 3"),
        ("ask.samples=[", "the value is not YAML"),
        ("ask.sampels=8", "ask.sampels: there is no such key; did you mean samples?"),
        ("trian.epochs=8", "trian: there is no such key; did you mean train?"),
    ],
)
def test_an_override_that_cannot_be_is_refused(tmp_path: Path, override: str, message: str) -> None:
    path = write(tmp_path)
    with pytest.raises(UsageError) as caught:
        load_recipe(path, [override])
    assert message in caught.value.what
    assert caught.value.exit_code == 2


# What a user can do wrong


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("samples: 4", "sampels: 4", "ask.sampels (line 10): there is no such key; did you mean samples?"),
        ("path: problems", "pth: problems", "questions.0.pth (line 7): there is no such key; did you mean path?"),
        (
            "name: abacus",
            "name: abacus\nsamples: 3",
            "samples (line 2): there is no such key; did you mean ask.samples?",
        ),
        (
            "name: abacus",
            "name: abacus\nxyz: 3",
            "the keys here are ask, check, exam, name, questions, teacher, train.",
        ),
        ("samples: 4", "system: {zzz: 3}", "ask.system.path: is missing."),
        ("samples: 4", "system: {zzz: 3}", "ask.system.zzz (line 10): there is no such key; the keys here are path."),
        ("samples: 4", "system: {pth: 3}", "ask.system.pth (line 10): there is no such key; did you mean path?"),
        ("samples: 4", "system: 3", "recipe.yaml: ask.system (line 10): should be text or keys and values, got 3."),
        ("samples: 4", "samples: four", 'ask.samples (line 10): should be a whole number, got "four".'),
        ("samples: 4", "samples: '4'", 'ask.samples (line 10): should be a whole number, got "4".'),
        ("samples: 4", "samples: true", "ask.samples (line 10): should be a whole number, got true."),
        ("samples: 4", "samples: 4.5", "ask.samples (line 10): should be a whole number, got 4.5."),
        ("samples: 4", "samples:", "ask.samples (line 10): should be a whole number, got nothing."),
        ("samples: 4", "samples: [4]", "ask.samples (line 10): should be a whole number, got a list of 1."),
        ("samples: 4", "samples: 0", "ask.samples (line 10): should be greater than or equal to 1, got 0."),
        ("temperature: 0.7", "temperature: hot", 'ask.temperature (line 10): should be a number, got "hot".'),
        ("keep: shortest_right", "keep: shortest_rihgt", "did you mean shortest_right?"),
        ("from: file", "from: flie", 'questions.0.from (line 7): there is no "flie"; did you mean file?'),
        ("from: file", "from: zzz", 'questions.0.from (line 7): there is no "zzz"; there are classroom, file, '),
        ("from: file, ", "", "questions.0 (line 7): from is missing."),
        ("split: train", "split: test", "questions.2.split (line 9): should be 'train' or 'exam', got \"test\"."),
        ("  model: some-model\n", "", "teacher.model: is missing."),
        ("student: some-owner/some-model, ", "", "train.student: is missing."),
        ("name: abacus\n", "", "name: is missing."),
        (
            "name: abacus",
            "name: 2024",
            "name (line 1): should be text (in quotes, if it looks like a number), got 2024.",
        ),
        ("name: abacus", "name: ../abacus", "it names a folder"),
        ("name: abacus", "name: a/b", "it names a folder"),
        ("name: abacus", "name: ''", "it names a folder"),
        ("name: abacus", "name: .", "it names a folder"),
        ("name: abacus", 'name: "a\\n"', "it names a folder"),
        ("teacher:\n", "teacher: me\nother:\n", 'teacher (line 2): should be keys and values, got "me".'),
        ("https://teacher.example/v1", "teacher.example", "teacher.base_url (line 4): an address must look like"),
        ("  base_url: https://teacher.example/v1\n", "", "give either base_url (a URL, or classroom) or serve"),
        ("  api_key_env: SOME_KEY\n", "  serve: model\n", "give either base_url (a URL, or classroom) or serve"),
        (
            "base_url: https://teacher.example/v1\n",
            "base_url: classroom\n  permit: p\n",
            "a permit is for a model that",
        ),
        ("train: {student: some-owner/some-model, learning_rate: 1e-3}\n", "", "there is no train section"),
        ("[{from: reasoning-gym, task: leg_counting, count: 10, seed: 99}]", "[]", "should have at least one entry"),
        ("ask: {", "ask: [1]\nqsa: {", "ask (line 10): should be keys and values, got a list of 1."),
    ],
)
def test_a_wrong_value_is_named_with_its_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    path = write(tmp_path, GOOD, old, new)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in caught.value.what
    assert caught.value.what.startswith(str(path))
    assert caught.value.exit_code == 2


def test_a_source_that_there_is_not_is_one_problem_and_not_two(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path, ["questions=[{from: reasoning_gym, task: leg_counting, count: 20}]"])
    said = 'questions.0.from: there is no "reasoning_gym"; did you mean reasoning-gym?'
    assert caught.value.what == f"{path}: {said}"
    assert "at least one entry" not in caught.value.what


def test_all_problems_are_named_at_once(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD.replace("samples: 4", "sampels: 4").replace("per_question: 2", "per_question: two"))
    with pytest.raises(RecipeError, match="has 2 problems") as caught:
        load_recipe(path)
    assert "ask.sampels (line 10)" in caught.value.what
    assert "check.per_question (line 11)" in caught.value.what


@pytest.mark.parametrize(
    "line", ["api_key: sk-very-secret", "api_key_env: sk-very-secret", "api_key_env: [sk-very-secret]"]
)
def test_a_key_written_into_a_recipe_is_not_repeated(tmp_path: Path, line: str) -> None:
    path = write(tmp_path, GOOD, "api_key_env: SOME_KEY", line)
    with pytest.raises(RecipeError, match="api_key") as caught:
        load_recipe(path)
    assert "very-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [a\nteacher: b\n", ", line 2, column 8: "),
        ("name: a\n\tteacher: b\n", ", line 2, column 1: "),
        ("name: a\nname: b\n", ", line 2, column 1: the key 'name' stands here twice (first on line 1)"),
        ("ask: {samples: 1, samples: 2}\n", "the key 'samples' stands here twice"),
        ("name: a\n---\nname: b\n", "but found another document"),
        ("name: !!python/object/apply:os.system [ls]\n", "has no meaning here"),
        ("name: !!int abc\n", "!!int has no meaning here"),
        ("1: a\n", "a key must be text"),
        ("name: &a [*a]\n", "this value holds itself"),
        ("name: *a\n", "undefined alias"),
        ("name: 1e999\n", "a number this large is not read"),
        ("a: " + "[" * 5000, "nested too deeply"),
        ("a: " + "[" * 300 + "]" * 300, "recursion limit"),
        ("", "is empty"),
        ("# nothing\n", "is empty"),
        ("- name\n", "is not a mapping"),
        ("just words\n", "is not a mapping"),
        ("name: a\x01b\n", "special characters are not allowed"),
        ('name: "a\\0b"\n', ", line 1, column 7: text that holds a NUL is not read"),
        ('name: "a\\ud800"\n', ", line 1, column 7: half a character"),
        ('"\\udc00": 1\n', ", line 1, column 1: half a character"),
    ],
)
def test_a_file_that_is_not_a_recipe(tmp_path: Path, text: str, message: str) -> None:
    path = write(tmp_path, text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in caught.value.what


def test_two_halves_of_a_character_are_one() -> None:
    assert read_yaml(r'a: "\ud83d\ude00"').value == {"a": "\N{GRINNING FACE}"}


def test_aliases_of_aliases_do_not_fill_the_memory(tmp_path: Path) -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    with pytest.raises(RecipeError, match="more than 100000 values"):
        load_recipe(write(tmp_path, "\n".join(lines)))


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, message in [
        (tmp_path / "none.yaml", "There is no recipe"),
        (tmp_path, "is a folder, not a recipe"),
        (tmp_path / "file" / "none.yaml", "cannot be read: Not a directory"),
    ]:
        with pytest.raises(RecipeError, match=message):
            load_recipe(path)
    latin = tmp_path / "latin.yaml"
    latin.write_bytes("name: café\n".encode("latin-1"))
    with pytest.raises(RecipeError, match="is not UTF-8 text"):
        load_recipe(latin)


# The recipes that come with the project


def project_recipes() -> list[Path]:
    root = Path(__file__).parent.parent
    return [*sorted((root / "recipes").glob("*.yaml")), root / "src/stillroom/classroom/demo.yaml"]


@pytest.mark.parametrize("path", project_recipes(), ids=lambda path: path.name)
def test_the_projects_own_recipes_are_right(path: Path) -> None:
    recipe = load_recipe(path)
    assert isinstance(recipe, Recipe)
    assert recipe.name == path.stem


# The documentation


def documented_keys() -> dict[str, str]:
    page = (Path(__file__).parent.parent / "docs" / "recipe.md").read_text()
    return dict(re.findall(r"^\| `([a-z_.]+)` \| (?:`([^`]+)`|-) \|", page, flags=re.MULTILINE))


def keys_of(model: type[BaseModel], prefix: str = "") -> dict[str, str]:
    """Every key of a recipe with its default as it is written in YAML, "" where a value has to be given."""
    found: dict[str, str] = {}
    for name, field in model.model_fields.items():
        section, *rest = get_args(field.annotation) or (field.annotation,)
        if isinstance(section, type) and issubclass(section, BaseModel) and rest in ([], [type(None)]):
            found |= keys_of(section, f"{prefix}{name}.")
        elif field.is_required() or field.default == "":
            found[f"{prefix}{name}"] = ""
        else:
            default = field.get_default(call_default_factory=True, validated_data={})
            plain = list(default) if isinstance(default, tuple) else default
            found[f"{prefix}{name}"] = yaml.safe_dump(plain, default_flow_style=True, width=1000).split("\n")[0]
    return found


def test_the_page_names_every_key_with_its_default() -> None:
    assert documented_keys() == keys_of(Recipe)


def test_the_pages_recipe_is_right(tmp_path: Path) -> None:
    page = (Path(__file__).parent.parent / "docs" / "recipe.md").read_text()
    assert load_recipe(write(tmp_path, page.partition("```yaml\n")[2].partition("```")[0])).name == "abacus"
