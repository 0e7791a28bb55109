"""The results as lm-evaluation-harness writes its own, so that whatever reads those reads these.

For each taker `exam/lm_eval/TAKER/results_TIME.json`, and for each set `samples_SET_TIME.jsonl` with a line for each
question: the layout of lm-eval 0.4. The filter is called `stillroom`, since it is our verifiers that judge.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from math import sqrt
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from stillroom import __version__
from stillroom.base.records import Question
from stillroom.exam.marking import Marks
from stillroom.exam.settings import Paper
from stillroom.store.files import replacing, write_json
from stillroom.store.tables import read_rows

FOLDER = "lm_eval"
FILTER = "stillroom"
METRICS = ("exact_match", "unsure", "truncated")
"""Shares of a question's samples that are right, could not be judged, and were cut by the limit."""
WITHOUT_NAME = "questions"
"""What the set without a name is called as a task."""


def write_lm_eval(
    exam_folder: Path, questions: Mapping[str | None, Sequence[Question]], marks: Mapping[str, Sequence[Marks]]
) -> None:
    """Write the files from `answers.parquet`, in place of those that an earlier examination left.

    `questions` by set, in the order in which they were asked. The time in the files' names is the newest reply's.
    """
    rows = groupby(read_rows(exam_folder / "answers.parquet"), key=lambda row: (row["taker"], row["set"]))
    for taker, of_taker in marks.items():
        folder = exam_folder / FOLDER / taker
        for old in [*folder.glob("results_*.json"), *folder.glob("samples_*.jsonl")]:
            old.unlink()
        newest = datetime.fromtimestamp(max(part.newest_us for part in of_taker) / 1e6, UTC)
        # As lm-eval names it: ISO 8601 without a zone, and without colons, which not every file system takes.
        name = newest.replace(tzinfo=None).isoformat().replace(":", "-")
        tasks = {}
        for part in of_taker:
            key, answers = next(rows)
            assert key == (taker, part.paper.name), f"answers.parquet has {key} where {taker}'s were expected"
            task = part.paper.name or WITHOUT_NAME
            tasks[task] = _write_samples(
                folder / f"samples_{task}_{name}.jsonl", part.paper, questions[part.paper.name], answers
            )
        write_json(folder / f"results_{name}.json", _results(of_taker[0], tasks, [p.paper for p in of_taker], newest))


class _Task:
    """What results.json says of a set."""

    def __init__(self) -> None:
        self.values: dict[str, list[float]] = {metric: [] for metric in METRICS}
        self.hashes = hashlib.sha256()

    def metrics(self, name: str) -> dict[str, Any]:
        n = len(self.values["exact_match"])
        found: dict[str, Any] = {"alias": name, "name": name, "sample_len": n}
        for metric, values in self.values.items():
            found[f"{metric},{FILTER}"] = fmean(values)
            found[f"{metric}_stderr,{FILTER}"] = stdev(values) / sqrt(n) if n > 1 else "N/A"
        return found


def _write_samples(
    path: Path, paper: Paper, questions: Sequence[Question], answers: Iterable[Mapping[str, Any]]
) -> _Task:
    task, rows = _Task(), iter(answers)
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8") as file:
        for number, question in enumerate(questions):
            sample = _sample(number, question, paper, [next(rows) for _ in range(paper.samples)])
            for metric in METRICS:
                task.values[metric].append(sample[metric])
            task.hashes.update((sample["doc_hash"] + sample["prompt_hash"] + sample["target_hash"]).encode())
            file.write(json.dumps(sample, ensure_ascii=False) + "\n")
    return task


def _sample(number: int, question: Question, paper: Paper, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    sent = [{"role": message.role, "content": message.content} for message in question.messages]
    prompt = json.dumps(sent, ensure_ascii=False)
    doc = {"id": question.id, "question": rows[0]["question"], "answer": rows[0]["expected"], "kind": question.kind}
    target = str(rows[0]["expected"])
    extracted = [row["extracted"] or "" for row in rows]
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": _generation(paper)}},
        "resps": [[row["answer"] or "" for row in rows]],
        "filtered_resps": extracted if len(rows) == 1 else [extracted],
        "filter": FILTER,
        "metrics": list(METRICS),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        "exact_match": fmean(row["verdict"] == "right" for row in rows),
        "unsure": fmean(row["verdict"] in ("unsure", "unverifiable") for row in rows),
        "truncated": fmean(row["status"] == "truncated" for row in rows),
    }


def _generation(paper: Paper) -> dict[str, Any]:
    asked = paper.sampling
    settings = {"temperature": asked.temperature, "top_p": asked.top_p, "max_gen_toks": asked.max_tokens}
    known = {key: value for key, value in settings.items() if value is not None}
    return {"until": [], "do_sample": asked.temperature != 0, **known}


def _results(of_taker: Marks, tasks: Mapping[str, _Task], papers: Sequence[Paper], newest: datetime) -> dict[str, Any]:
    def for_each(value: Any) -> dict[str, Any]:
        return dict.fromkeys(tasks, value)

    counts = {task: len(found.values["exact_match"]) for task, found in tasks.items()}
    return {
        "results": {task: found.metrics(task) for task, found in tasks.items()},
        "group_subtasks": for_each([]),
        "configs": dict(_configs(tasks, papers)),
        "versions": for_each(0),
        "n-shot": for_each(0),
        "higher_is_better": for_each({"exact_match": True, "unsure": False, "truncated": False}),
        "n-samples": {task: {"original": count, "effective": count} for task, count in counts.items()},
        "config": {"model": "stillroom", "model_args": {"model": of_taker.model}, "limit": None},
        "git_hash": None,
        "date": newest.timestamp(),
        "task_hashes": {task: found.hashes.hexdigest() for task, found in tasks.items()},
        "model_source": f"stillroom {__version__}",
        "model_name": of_taker.model,
        "model_name_sanitized": of_taker.taker,
        "system_instruction": None,
        "chat_template": None,
    }


def _configs(tasks: Mapping[str, _Task], papers: Sequence[Paper]) -> Iterator[tuple[str, dict[str, Any]]]:
    for task, paper in zip(tasks, papers, strict=True):
        yield (
            task,
            {
                "task": task,
                "output_type": "generate_until",
                "repeats": paper.samples,
                "num_fewshot": 0,
                "generation_kwargs": _generation(paper),
                "metric_list": [{"metric": metric, "aggregation": "mean"} for metric in METRICS],
            },
        )


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
