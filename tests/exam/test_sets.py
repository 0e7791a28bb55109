"""A recipe that only examines: sets of questions with settings of their own, several samples, any models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stillroom import pipeline
from stillroom.base.errors import DataError, ModelError, RecipeError, StoreError, UsageError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.classroom.models import teacher_folder
from stillroom.exam.settings import ExamSettings
from stillroom.local_models import local_takers
from stillroom.recipe import load_recipe
from stillroom.store.tables import read_rows, write_traces
from stillroom.testing import Answer, MisbehavingTeacher
from stillroom.testing.faults import http_error
from stillroom.verify.sandbox import sandbox_protection

RECIPE = """\
name: sets
exam:
  sets:
    - {{name: once, questions: [{{from: file, path: once.jsonl}}]}}
    - {{name: often, questions: [{{from: file, path: often.jsonl}}], samples: 4, temperature: 0.5, max_tokens: 40}}
  max_tokens: 200
  compare:
    - {{name: good, base_url: "{base_url}", model: good, price: none}}
    - {{name: bad, base_url: "{base_url}", model: bad, price: {{input_per_million: 1, output_per_million: 2}}}}
"""


def answers(question: str) -> list[Answer]:
    """Four in turn: right, right, wrong, and one that goes on beyond 40 tokens though it is right."""
    number = int(question.split()[0])
    return [
        Answer(f"It is {number + 1}."),
        Answer(f"It is {number + 1}.", "thinking about it"),
        Answer("It is 0."),
        Answer(f"It is {number + 1}." + " hm" * 60),
    ]


def write_recipe(folder: Path, base_url: str, text: str = RECIPE) -> Path:
    for name, numbers in (("once", range(6)), ("often", range(100, 103))):
        rows = [{"question": f"{n} and one?", "answer": str(n + 1), "kind": "number"} for n in numbers]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = folder / "recipe.yaml"
    path.write_text(text.format(base_url=base_url))
    return path


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], MisbehavingTeacher]:
    """The folder of an examination that was held, its exam.json, and who was asked."""
    tmp_path = tmp_path_factory.mktemp("held")
    with MisbehavingTeacher(answers, models=("good", "bad")) as teacher:
        path = write_recipe(tmp_path, teacher.base_url)
        facts = pipeline.exam(path, runs=tmp_path / "runs")
        asked = teacher.requests
        assert pipeline.exam(path, runs=tmp_path / "runs") == facts
        assert teacher.requests == asked
        pipeline.report(path, runs=tmp_path / "runs")
    return tmp_path / "runs" / "sets", facts, teacher


def test_each_set_is_asked_as_it_says(held: tuple[Path, dict[str, Any], MisbehavingTeacher]) -> None:
    folder, facts, teacher = held
    settings = {(body["temperature"], body["max_tokens"]) for body in teacher.bodies}
    assert settings == {(0, 200), (0.5, 40)}
    assert (facts["n"], list(facts["sets"])) == (9, ["once", "often"])
    once, often = facts["sets"]["once"], facts["sets"]["often"]
    assert (once["samples"], once["n"], once["max_tokens"]) == (1, 6, 200)
    assert (often["samples"], often["n"], often["temperature"], often["max_tokens"]) == (4, 3, 0.5, 40)
    good = often["takers"]["good"]
    assert good["replies"] == 12
    assert good["right"] + good["wrong"] + good["unsure"] == 12
    assert good["accuracy"] == pytest.approx(good["right"] / 12)
    assert list(good["pass_at"]) == ["1", "2", "4"]
    assert good["pass_at"]["1"]["accuracy"] == pytest.approx(good["accuracy"])
    assert good["truncated_share"] == pytest.approx(good["cut"]["replies"] / 12)
    assert facts["takers"]["good"]["replies"] == 18
    assert facts["takers"]["good"]["mean_of_sets"]["accuracy"] == pytest.approx(
        (once["takers"]["good"]["accuracy"] + good["accuracy"]) / 2
    )
    assert facts["takers"]["bad"]["cost_usd_per_right"] is not None
    rows = list(read_rows(folder / "exam" / "answers.parquet"))
    assert len(rows) == 2 * 18
    assert [(row["set"], row["sample"]) for row in rows[4:8]] == [("once", 0), ("once", 0), ("often", 0), ("often", 1)]
    cut = [row for row in rows if row["status"] == "truncated"]
    assert cut
    assert {row["verdict"] for row in cut} == {"wrong"}
    assert {row["cut_verdict"] for row in rows if row["status"] == "ok"} == {None}


def test_every_key_of_exam_json_is_on_its_page(held: tuple[Path, dict[str, Any], MisbehavingTeacher]) -> None:
    _, facts, _ = held
    page = (Path(__file__).parents[2] / "docs" / "formats" / "exam-json.md").read_text(encoding="utf-8")
    of_set, good = facts["sets"]["often"], facts["takers"]["good"]
    written = {*facts, *of_set, *good, *facts["comparisons"][0], *of_set["takers"]["good"]}
    assert {key for key in written if f"`{key}`" not in page} == set()


def test_results_are_written_as_lm_eval_writes_its_own(
    held: tuple[Path, dict[str, Any], MisbehavingTeacher],
) -> None:
    folder, facts, _ = held
    for taker in ("good", "bad"):
        (path,) = (folder / "exam" / "lm_eval" / taker).glob("results_*.json")
        results = json.loads(path.read_text())
        assert results["n-samples"] == {
            "once": {"original": 6, "effective": 6},
            "often": {"original": 3, "effective": 3},
        }
        for task in ("once", "often"):
            (samples,) = path.parent.glob(f"samples_{task}_*.jsonl")
            assert samples.name == f"samples_{task}_{path.name.removeprefix('results_').removesuffix('.json')}.jsonl"
            rows = [json.loads(line) for line in samples.read_text().splitlines()]
            accuracy = facts["sets"][task]["takers"][taker]["accuracy"]
            assert sum(row["exact_match"] for row in rows) / len(rows) == pytest.approx(accuracy)
            metrics = results["results"][task]
            assert metrics["exact_match,stillroom"] == pytest.approx(accuracy)
            assert metrics["sample_len"] == len(rows)
            assert [row["doc_id"] for row in rows] == list(range(len(rows)))
            assert {len(row["resps"][0]) for row in rows} == {facts["sets"][task]["samples"]}
            first = rows[0]
            assert first["target"] == first["doc"]["answer"]
            sent = json.loads(first["arguments"]["gen_args_0"]["arg_0"])
            assert sent == [{"role": "user", "content": first["doc"]["question"]}]
            assert first["metrics"] == ["exact_match", "unsure", "truncated"]
            assert {len(first[name]) for name in ("doc_hash", "prompt_hash", "target_hash")} == {64}
            assert json.loads(json.dumps(results["configs"][task]))["repeats"] == facts["sets"][task]["samples"]


def test_a_longer_limit_replaces_the_exported_files(tmp_path: Path) -> None:
    with MisbehavingTeacher(answers, models=("good", "bad")) as teacher:
        path = write_recipe(tmp_path, teacher.base_url)
        pipeline.exam(path, runs=tmp_path / "runs")
        longer = load_recipe(path, ["exam.sets.1.max_tokens=300"])
        before = teacher.requests
        facts = pipeline.exam(longer, runs=tmp_path / "runs")
    assert 0 < teacher.requests - before <= 6
    assert facts["takers"]["good"]["truncated_share"] == 0
    folder = tmp_path / "runs" / "sets" / "exam" / "lm_eval" / "good"
    assert len(list(folder.glob("results_*.json"))) == 1
    assert len(list(folder.glob("samples_*.jsonl"))) == 2


def test_a_failed_call_leaves_the_examination_to_be_gone_on_with(tmp_path: Path) -> None:
    faults = {"3 and one?": [http_error(500)] * 2}
    with MisbehavingTeacher(answers, models=("good", "bad"), faults_by_question=faults) as teacher:
        path = write_recipe(tmp_path, teacher.base_url)
        recipe = load_recipe(path, ["exam.retries=0"])
        first = pipeline.exam(recipe, runs=tmp_path / "runs")
        assert [first["sets"]["once"]["takers"][name]["failed"] for name in ("good", "bad")] == [1, 1]
        assert first["sets"]["once"]["comparisons"][0]["left_out"] == 1
        assert first["sets"]["once"]["takers"]["good"]["accuracy_at_most"] == pytest.approx(
            first["sets"]["once"]["takers"]["good"]["accuracy"] + 1 / 6
        )
        second = pipeline.exam(recipe, runs=tmp_path / "runs")
    assert second["sets"]["once"]["takers"]["good"]["failed"] == 0


# Who takes it


def test_a_folder_and_another_runs_student_are_served(tmp_path: Path, tiny_model: Path) -> None:
    student = tmp_path / "runs" / "other" / "train" / "sft" / "student"
    student.parent.mkdir(parents=True)
    student.symlink_to(tiny_model)
    (tmp_path / "runs" / "other" / "recipe.yaml").write_text("name: other\ntrain: {method: sft}\n")
    write_traces(tmp_path / "runs" / "other" / "traces.parquet", [_learned("count")])
    rows = [{"question": "sum", "answer": "5", "kind": "number"}]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"""\
name: folders
exam:
  questions: [{{from: file, path: q.jsonl}}]
  max_tokens: 4
  compare: [{{name: by-folder, folder: "{tiny_model}", group: taught}}, {{name: by-run, run: other, group: taught}}]
"""
    )
    facts = pipeline.exam(path, runs=tmp_path / "runs")
    assert [taker["model"].partition("@")[0] for taker in facts["takers"].values()] == ["by-folder", "by-run"]
    assert {taker["truncated_share"] for taker in facts["takers"].values()} == {1.0}
    assert facts["groups"]["taught"]["takers"] == ["by-folder", "by-run"]
    assert facts["sets"] == {}

    write_traces(tmp_path / "runs" / "other" / "traces.parquet", [_learned("sum")])
    longer = load_recipe(path, ["exam.max_tokens=5"])
    with pytest.raises(DataError, match=r'"sum" .* is also among those that by-run learned from'):
        pipeline.exam(longer, runs=tmp_path / "runs")


def _learned(text: str) -> Trace:
    said = Message(role="assistant", content="1", train=True)
    return Trace(question_id=text, messages=(Message(role="user", content=text, train=False), said), source="s")


def test_a_run_without_a_student_is_named(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "http://127.0.0.1:1/v1")
    recipe = load_recipe(path, ["exam.compare=[{name: other, run: nowhere}]"])
    with pytest.raises(StoreError, match="names the run nowhere, and there is none at "):
        pipeline.exam(recipe, runs=tmp_path / "runs")
    (tmp_path / "runs" / "nowhere").mkdir(parents=True)
    (tmp_path / "runs" / "nowhere" / "recipe.yaml").write_text("name: nowhere\ntrain: {method: sft}\n")
    with pytest.raises(StoreError, match=r"the run nowhere, which has trained no student: .* does not exist"):
        pipeline.exam(recipe, runs=tmp_path / "runs")
    away = load_recipe(path, ["exam.compare=[{name: other, folder: away}]"])
    with pytest.raises(ModelError, match=r"There is no model folder .*away"):
        pipeline.run(away, runs=tmp_path / "runs")


def test_the_embedded_teacher_takes_it_by_its_name(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "http://127.0.0.1:1/v1")
    recipe = load_recipe(path, ["exam.compare=[{name: mine, folder: classroom}]"])
    assert local_takers(recipe, tmp_path, tmp_path / "runs") == {"mine": teacher_folder()}
    resolved = tmp_path / "resolved.yaml"
    resolved.write_text(recipe.to_yaml())
    assert local_takers(load_recipe(resolved), tmp_path, tmp_path / "runs") == {"mine": teacher_folder()}


def test_what_keeps_the_code_of_answers_in_is_said_and_written_down(tmp_path: Path) -> None:
    said: list[str] = []

    class Heard(Silent):
        def say(self, sentence: str) -> None:
            said.append(sentence)

    with MisbehavingTeacher(lambda _: Answer("```python\ndef add(a, b): return a + b\n```")) as teacher:
        path = write_recipe(tmp_path, teacher.base_url)
        row = {"question": "Write add(a, b).", "kind": "code", "tests": "assert add(1, 2) == 3"}
        (tmp_path / "once.jsonl").write_text(json.dumps(row) + "\n")
        taker = f"{{name: mine, base_url: '{teacher.base_url}', model: teacher, price: none}}"
        recipe = load_recipe(path, [f"exam.compare=[{taker}]"])
        facts = pipeline.exam(recipe, runs=tmp_path / "runs", progress=Heard())
    protection = sandbox_protection()
    assert said == [protection.sentence]
    assert facts["sandbox"] == protection.as_json()
    assert facts["sets"]["once"]["takers"]["mine"]["right"] == (1 if protection.is_enough else 0)
    page = (Path(__file__).parents[2] / "docs" / "formats" / "exam-json.md").read_text(encoding="utf-8")
    assert "| `sandbox` |" in page


def test_a_price_that_nobody_knows_stops_it_before_anything_is_written(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "http://127.0.0.1:1/v1", RECIPE.replace(", price: none", ""))
    with pytest.raises(RecipeError, match="price"):
        pipeline.exam(path, runs=tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_only_examines_asks_nobody_else(tmp_path: Path) -> None:
    path = write_recipe(tmp_path, "http://127.0.0.1:1/v1")
    for stage in (pipeline.ask, pipeline.estimate):
        with pytest.raises(UsageError, match="The recipe sets only examines"):
            stage(path, runs=tmp_path / "runs")


def test_run_examines_and_reports(tmp_path: Path) -> None:
    with MisbehavingTeacher(answers, models=("good", "bad")) as teacher:
        path = write_recipe(tmp_path, teacher.base_url)
        summary = pipeline.run(path, runs=tmp_path / "runs")
    assert summary["stages"] == ["exam"]
    assert summary["good"]["n"] == 9
    assert summary["asked"] is None
    for page in ("report.html", "exam.html"):
        assert (tmp_path / "runs" / "sets" / page).stat().st_size > 100_000


# What a recipe may say


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: often", "name: once", "two sets have the same name"),
        ("name: often", "name: Once", "two sets have the same name"),
        ("name: often", "name: a/b", "it names a file"),
        ("temperature: 0.5, ", "", "would be one and the same at temperature 0"),
        ("name: bad", "name: good", "a taker is named twice"),
        ("name: bad", "name: GOOD", "a taker is named twice"),
        ("name: bad", "name: teacher", "teacher is what a model of the recipe itself is called"),
        (", model: good", "", "base_url and model go together"),
        ("model: good", "model: good, folder: x", "give one of base_url (with model), folder and run"),
        ("model: good", "modl: good", "exam.compare.0.modl (line 8): there is no such key; did you mean model?"),
        ("samples: 4", "sampels: 4", "exam.sets.1.sampels (line 5): there is no such key; did you mean samples?"),
        ("  sets:", "  questions: [{{from: file, path: q.jsonl}}]\n  sets:", "give either questions or sets"),
        ("  max_tokens: 200\n", "  max_tokens: 200\n  compare: [teacher]\n#", "there is no teacher section"),
    ],
)
def test_a_wrong_value_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in RECIPE
    text = RECIPE.replace(old, new)
    if "compare: [teacher]" in text:
        text = text.partition("#")[0]
    path = write_recipe(tmp_path, "http://127.0.0.1:1/v1", text)
    with pytest.raises(RecipeError) as caught:
        load_recipe(path)
    assert message in caught.value.what


def test_a_resolved_recipe_that_only_examines_is_a_recipe(tmp_path: Path) -> None:
    recipe = load_recipe(write_recipe(tmp_path, "http://127.0.0.1:1/v1"))
    again = tmp_path / "again.yaml"
    again.write_text(recipe.to_yaml())
    assert load_recipe(again) == recipe


def test_settings_of_a_set_take_the_place_of_the_exams() -> None:
    settings = ExamSettings.model_validate(
        {"samples": 2, "temperature": 0.6, "sets": [{"name": "a"}, {"name": "b", "samples": 8, "max_tokens": 9}]}
    )
    first, second = settings.papers()
    assert (first.samples, first.sampling.temperature, first.sampling.max_tokens) == (2, 0.6, 512)
    assert (second.samples, second.sampling.temperature, second.sampling.max_tokens) == (8, 0.6, 9)
    assert (first.file, second.file) == ("exam/questions/a.parquet", "exam/questions/b.parquet")
    assert [paper.file for paper in ExamSettings().papers()] == ["exam/questions.parquet"]
