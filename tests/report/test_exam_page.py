"""The examination's page: what it shows is what the files say, for any models on any sets."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from stillroom.client.settings import Sampling
from stillroom.exam.comparison import comparisons, group_comparisons, groups
from stillroom.exam.figures import figures, mean_of_sets
from stillroom.exam.marking import Mark, Marks
from stillroom.exam.settings import Paper
from stillroom.report.exam_page import write_exam_page
from stillroom.report.looks import looks_of
from stillroom.report.page import print_summary, summarise, write_report
from stillroom.report.words import headline
from stillroom.store.schemas import EXAM_ANSWERS
from stillroom.store.tables import write_table

HOSTILE = '</script><script>alert(1)</script> <img src=x onerror="alert(1)"> {{ 7 * 7 }} \u202egnp'
SKILL = {"alpha": 0.85, "beta": 0.6, "gamma-1": 0.5, "gamma-2": 0.45}
GROUPS = {"gamma-1": "gamma", "gamma-2": "gamma", "alpha": "greek", "beta": "greek"}
PAPERS = (Paper("large", 1, Sampling(temperature=0.0, max_tokens=100)), Paper("small", 4, Sampling(temperature=0.6)))
QUESTIONS = {"large": 150, "small": 30}


def made_up_marks() -> dict[str, list[Marks]]:
    """Four models on two sets; beta's calls fail now and then, gamma's replies are often cut."""
    found: dict[str, list[Marks]] = {name: [] for name in SKILL}
    for paper in PAPERS:
        for name, skill in SKILL.items():
            draw = random.Random(f"{name}{paper.name}")
            marks = Marks(name, f"{name}-model", paper)
            for _ in range(QUESTIONS[str(paper.name)]):
                chance = min(1.0, skill + draw.uniform(-0.3, 0.3))
                marks.marks += [_mark(draw, name, chance) for _ in range(paper.samples)]
            found[name].append(marks)
    return found


def _mark(draw: random.Random, name: str, chance: float) -> Mark:
    right = draw.random() < chance
    failed = name == "beta" and draw.random() < 0.02
    cut = name.startswith("gamma") and draw.random() < 0.2 and not failed
    return Mark(
        verdict="unsure" if failed else "right" if right and not cut else "wrong",
        status="failed" if failed else "truncated" if cut else "ok",
        family=None,
        cut_verdict=("right" if right else "wrong") if cut else None,
        completion_tokens=None if failed else draw.randint(50, 100),
        cost_usd=None if failed else "0.0005",
        latency_us=draw.randint(200_000, 3_000_000),
    )


def rows(marks: dict[str, list[Marks]]) -> Iterator[dict[str, Any]]:
    for name, parts in marks.items():
        for part in parts:
            for number, mark in enumerate(part.marks):
                question, sample = divmod(number, part.samples)
                yield dict.fromkeys(EXAM_ANSWERS.names) | {
                    "taker": name,
                    "set": part.paper.name,
                    "question_id": f"{part.paper.name}-{question}",
                    "sample": sample,
                    "question": f"Question {question}? {HOSTILE}",
                    "expected": "42",
                    "reasoning": f"{name} thinks. {HOSTILE}",
                    "answer": f"{name} says 42." if mark.verdict == "right" else HOSTILE,
                    "verdict": mark.verdict,
                    "reason": "the same number" if mark.verdict == "right" else "another number",
                    "status": mark.status,
                    "cut_verdict": mark.cut_verdict,
                    "completion_tokens": mark.completion_tokens,
                }


def part_of(marks: dict[str, list[Marks]]) -> dict[str, Any]:
    return {
        "n": sum(len(part.families()) for part in next(iter(marks.values()))),
        "families": [],
        "takers": {name: figures(parts) for name, parts in marks.items()},
        "comparisons": comparisons(marks),
        "groups": groups(marks, GROUPS),
        "group_comparisons": group_comparisons(marks, GROUPS),
    }


@pytest.fixture
def exam_folder(tmp_path: Path) -> Path:
    marks = made_up_marks()
    sets = {
        str(paper.name): {
            "samples": paper.samples,
            **paper.sampling.model_dump(include={"temperature", "max_tokens"}),
            **part_of({name: [parts[position]] for name, parts in marks.items()}),
        }
        for position, paper in enumerate(PAPERS)
    }
    exam = {"schema_version": 2, "max_tokens": 100, **part_of(marks), "sets": sets, "seconds": 1.0}
    for name, taker in exam["takers"].items():
        taker["mean_of_sets"] = mean_of_sets([of_set["takers"][name] for of_set in sets.values()])
    folder = tmp_path / "models"
    (folder / "exam").mkdir(parents=True)
    (folder / "exam.json").write_text(json.dumps(exam))
    write_table(folder / "exam" / "answers.parquet", EXAM_ANSWERS, rows(marks))
    return folder


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%".replace("\N{NO-BREAK SPACE}", " ")


def test_it_is_well_formed_and_loads_nothing(exam_folder: Path, read_page: Any) -> None:
    path = write_exam_page(exam_folder)
    assert path == exam_folder / "exam.html"
    page = read_page(path)
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {attributes["href"] for attributes in page.tags("a")}
    assert {link.removeprefix("#") for link in links} <= set(ids)
    assert {"#right", "#took", "#limit", "#pass", "#pairs", "#seeds", "#samples"} <= links
    for _, attributes in page.elements:
        assert "src" not in attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert all("scope" in attributes for attributes in page.tags("th"))
    charts = [attributes for attributes in page.tags("div") if "data-chart" in attributes]
    assert len(charts) == 3
    policy = next(meta["content"] for meta in page.tags("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    assert "unsafe-eval" not in policy
    assert "alert(1)" in page.text
    assert "{{ 7 * 7 }}" in page.text
    assert path.read_bytes() == (write_exam_page(exam_folder) or path).read_bytes()


def test_the_figures_are_those_of_the_file(exam_folder: Path, read_page: Any) -> None:
    page = read_page(write_exam_page(exam_folder))
    exam = json.loads((exam_folder / "exam.json").read_text())
    shares = {row[0].split()[0]: row[1:] for row in page.rows if len(row) == 5}
    tokens = {row[0].split()[0]: row[1:] for row in reversed(page.rows) if len(row) == 7}
    limits = {row[0].split()[0]: row[1:] for row in page.rows if len(row) == 7}
    for name, taker in exam["takers"].items():
        columns = [exam["sets"]["large"]["takers"][name], exam["sets"]["small"]["takers"][name], taker]
        for cell, value in zip(shares[name], [*columns, taker["mean_of_sets"]], strict=True):
            assert cell.startswith(_percent(value["accuracy"]))
            assert f"{100 * value['low']:.1f} to {100 * value['high']:.1f} %" in cell
        assert f"{taker['tokens_per_right']:,.1f}" in tokens[name] + limits[name]
        assert f"${taker['cost_usd_per_right']}" in tokens[name] + limits[name]
        assert _percent(taker["truncated_share"]) in tokens[name] + limits[name]
        assert any(cell.startswith(_percent(taker["complete"]["accuracy"])) for cell in tokens[name] + limits[name])
    assert f"at most {_percent(exam['sets']['large']['takers']['beta']['accuracy_at_most'])}" in shares["beta"][0]
    assert "at most" not in shares["alpha"][0]
    for one in exam["comparisons"]:
        row = next(row for row in page.rows if row[0] == f"{one['a']} against {one['b']}")
        assert row[3:5] == [f"{one['p_value']:.2g}", f"{one['p_holm']:.2g}"]
        assert f"{one['better_a']} : {one['better_b']} of {one['n']}" in row[2]
    for name, group in exam["groups"].items():
        assert any(
            row[0].startswith(name) and _percent(group["accuracy"]) in row[2] for row in page.rows if len(row) == 4
        )
    for k, value in exam["sets"]["small"]["takers"]["alpha"]["pass_at"].items():
        assert f"pass@{k}" in page.text
        assert _percent(value["accuracy"]).replace(" ", "\N{NO-BREAK SPACE}") in page.text
    drawn = page.chart("accuracy")["data"]["values"]
    assert {row["part"] for row in drawn} == {"large", "small", "all questions", "mean of the sets"}
    assert len(drawn) == 4 * len(SKILL)
    differences = page.chart("differences")["data"]["values"]
    assert len(differences) == 6


def test_it_warns_of_what_was_cut_of_failed_calls_and_of_few_questions(exam_folder: Path, read_page: Any) -> None:
    text = read_page(write_exam_page(exam_folder)).text
    assert "Calls of the examination failed" in text
    assert "Replies cut by exam.max_tokens count as wrong" in text
    assert "Few questions (small 30): one of them is worth 3.3 points or more." in text


def test_examples_are_questions_on_which_they_differ(exam_folder: Path, read_page: Any) -> None:
    page = read_page(write_exam_page(exam_folder))
    articles = page.text.partition("Where they differ\n")[2].split("Right answer: ")[1:]
    assert len(articles) == 8
    for article in articles:
        assert "✓ right" in article
        assert "✗ wrong" in article or "? unsure" in article


def test_an_examination_of_a_run_has_its_page_too(run_folder: Path, read_page: Any) -> None:
    page = read_page(write_exam_page(run_folder))
    exam = json.loads((run_folder / "exam.json").read_text())
    assert page.tags("h1")
    for name in ("teacher", "student", "answers_only", "base"):
        assert f"{100 * exam['takers'][name]['accuracy']:.1f}\N{NO-BREAK SPACE}%" in page.text
    assert "pass@" not in page.text


def test_without_an_examination_there_is_no_page(tmp_path: Path) -> None:
    assert write_exam_page(tmp_path) is None
    assert not (tmp_path / "exam.html").exists()


def test_looks_tell_models_apart() -> None:
    names = ["teacher", "student", *(f"m{number}" for number in range(16))]
    looks = looks_of(names)
    assert (looks["teacher"].key, looks["student"].shape) == ("teacher", "circle")
    assert len({(look.key, look.shape) for look in looks.values()}) == len(names)


def test_the_report_tells_models_apart_and_calls_them_as_they_are_called(exam_folder: Path, read_page: Any) -> None:
    page = read_page(write_report(exam_folder))
    assert headline(summarise(exam_folder)).startswith("alpha answers ")
    assert "alpha does better than gamma-1" in page.text
    assert re.search(r"only alpha right|only beta right", page.text), "samples, side by side"
    assert not re.search(r"\bthe (alpha|beta)\b|\bAlpha\b", page.text)
    point = page.chart("accuracy")["layer"][1]["encoding"]
    for look in ("color", "shape"):
        assert len(set(point[look]["scale"]["range"])) == len(SKILL)
    classes = {each["class"] for each in page.tags("svg") if "mark-of" in (each.get("class") or "")}
    assert classes == {f"mark-of fill-model-{number}" for number in range(1, 5)}


def test_the_terminal_shows_each_set(exam_folder: Path) -> None:
    summary = summarise(exam_folder)
    assert [(each["name"], each["n"]) for each in summary["sets"]] == [("large", 150), ("small", 30)]
    text = StringIO()
    print_summary(summary, Console(file=text, width=200))
    lines = text.getvalue().replace("\N{NO-BREAK SPACE}", " ").splitlines()
    assert next(line for line in lines if line.startswith(" taker")).split()[-3:] == ["large", "small", "cut"]
    shares = [each["accuracy"]["alpha"] for each in summary["sets"]]
    alpha = next(line for line in lines if line.startswith(" alpha"))
    assert " ".join(alpha.split()).endswith(" ".join(f"{100 * share:.1f} %" for share in shares) + " 0.0 %")


def test_the_report_says_how_answers_of_several_samples_are_counted(exam_folder: Path, read_page: Any) -> None:
    page = read_page(write_report(exam_folder))
    assert "from resampling the questions, which were asked several times" in page.text
    assert "one of them was right more often" in page.text
    assert "more often right on" in page.text
    assert "Wilson’s" not in page.text
    counted = page.text.split("Are the differences real?")[1]
    assert counted.count("questions, asked several times:") == len(SKILL) * (len(SKILL) - 1) // 2
