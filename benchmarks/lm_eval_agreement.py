"""The same model on the same questions through lm-evaluation-harness and through ours: does every verdict agree?

    python benchmarks/lm_eval_agreement.py [--questions 400] [--max-tokens 60]

`stillroom serve` holds a model of the embedded classroom; lm-eval asks it as `local-chat-completions` for a task made
of a local file, and `stillroom exam` asks it the same file, both at temperature 0. Then the two files of samples are
laid side by side, question by question: ours is the one that the examination exports in lm-eval's form, and lm-eval's
own code prints it. The limit is low enough for some replies to be cut. lm-eval gets an environment of its own, and no
network.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ask_contenders.environments import Environment, environment

from stillroom import pipeline
from stillroom.classroom.models import base_folder, teacher_folder
from stillroom.classroom.questions import questions as classroom_questions
from stillroom.recipe import load_recipe
from stillroom.serve.spawn import serving

LM_EVAL = "lm-eval[api]==0.4.13"
TASK = "classroom"
MODELS = {"classroom-teacher": teacher_folder(), "classroom-base": base_folder()}
KINDS = {"clock": "exact"}
"""How the answers of each family are judged here; those of all others are numbers."""
TABLE = """
import json, sys
from lm_eval.utils import make_table
print(make_table(json.load(open(sys.argv[1]))))
"""


def write_questions(path: Path, count: int) -> None:
    rows = [
        {
            "id": question.id,
            "question": question.messages[0].content,
            "answer": question.answer or question.meta["entry"]["answer"],
            "kind": KINDS.get(str(question.family), "number"),
        }
        for question in classroom_questions(count, 17, "exam")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def ask_with_lm_eval(
    folder: Path, questions: Path, peer: Environment, base_url: str, model: str, max_tokens: int, key: str = "-"
) -> dict[str, Any]:
    """lm-eval's results, with its samples by the questions' ids."""
    task = {
        "task": TASK,
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(questions)}},
        "output_type": "generate_until",
        "test_split": "test",
        "doc_to_text": "{{question}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": max_tokens},
        "filter_list": [{"name": "plain", "filter": [{"function": "remove_whitespace"}, {"function": "take_first"}]}],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    (folder / "task").mkdir()
    (folder / "task" / "task.yaml").write_text(yaml.safe_dump(task), encoding="utf-8")
    arguments = f"model={model},base_url={base_url}/chat/completions,num_concurrent=16,max_retries=1"
    command = [
        str(peer.python), "-m", "lm_eval", "--model", "local-chat-completions", "--model_args", arguments,
        "--tasks", TASK, "--include_path", str(folder / "task"), "--apply_chat_template",
        "--output_path", str(folder / "out"), "--log_samples",
    ]  # fmt: skip
    offline = {"HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "OPENAI_API_KEY": key}
    done = subprocess.run(command, env=os.environ | offline, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"lm-eval ended with {done.returncode}:\n{done.stderr[-3000:]}")
    return read_results(folder / "out" / model)


def examine(folder: Path, questions: Path, base_url: str, model: str, max_tokens: int) -> dict[str, Any]:
    """The same from the examination's export."""
    recipe = {
        "name": "agreement",
        "exam": {
            "sets": [{"name": TASK, "questions": [{"from": "file", "path": str(questions)}]}],
            "compare": [{"name": "mine", "base_url": base_url, "model": model, "price": "none"}],
            "max_tokens": max_tokens,
        },
    }
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    pipeline.exam(load_recipe(folder / "recipe.yaml"), runs=folder / "runs")
    return read_results(folder / "runs" / "agreement" / "exam" / "lm_eval" / "mine")


def read_results(folder: Path) -> dict[str, Any]:
    (results,) = folder.glob("results_*.json")
    (samples,) = folder.glob(f"samples_{TASK}_*.jsonl")
    rows = [json.loads(line) for line in samples.read_text(encoding="utf-8").splitlines()]
    return {"path": results, "samples": {row["doc"]["id"]: row for row in rows}}


def compare(model: str, theirs: dict[str, Any], ours: dict[str, Any]) -> Counter[str]:
    """Print how the two agree, and each question on which they do not."""
    found: Counter[str] = Counter()
    assert theirs["samples"].keys() == ours["samples"].keys()
    for identity, row in theirs["samples"].items():
        mine = ours["samples"][identity]
        same_reply = row["resps"][0][0].strip() == mine["resps"][0][0].strip()
        same_verdict = row["exact_match"] == mine["exact_match"]
        found.update(
            questions=1,
            same_reply=same_reply,
            same_verdict=same_verdict,
            right=int(row["exact_match"]),
            cut=int(mine["truncated"]),
        )
        if not (same_reply and same_verdict):
            print(f"  {identity}: lm-eval {row['exact_match']:g} {row['resps'][0][0]!r}, expected {row['target']!r};")
            print(f"    ours {mine['exact_match']:g} {mine['resps'][0][0]!r}, unsure {mine['unsure']:g}")
    print(
        f"{model}: {found['questions']} questions, {found['right']} right by lm-eval, {found['cut']} cut by the limit; "
        f"the same reply to {found['same_reply']}, the same verdict on {found['same_verdict']}"
    )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=400)
    parser.add_argument("--max-tokens", type=int, default=60)
    arguments = parser.parse_args()
    peer = environment("lm_eval", (LM_EVAL,), counts_tokens=False)
    total: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary, serving(MODELS, threads=1) as base_url:
        questions = Path(temporary) / "questions.jsonl"
        write_questions(questions, arguments.questions)
        for model in MODELS:
            folder = Path(temporary) / model
            folder.mkdir()
            theirs = ask_with_lm_eval(folder, questions, peer, base_url, model, arguments.max_tokens)
            ours = examine(folder, questions, base_url, model, arguments.max_tokens)
            total += compare(model, theirs, ours)
            table = subprocess.run([peer.python, "-c", TABLE, ours["path"]], capture_output=True, text=True, check=True)
            print(f"Our export, printed by lm-eval:\n{table.stdout}")
    print(f"{LM_EVAL}: {total['same_verdict']} of {total['questions']} verdicts agree")
    sys.exit(total["same_verdict"] != total["questions"])


if __name__ == "__main__":
    main()
