"""Clients that would weigh on the tests, unmodified, against a gateway: LiteLLM's package and lm-evaluation-harness.

    python -m benchmarks.serve_clients [--questions 40]

Behind the gateway is `stillroom.testing`'s teacher, which always answers a question alike. LiteLLM asks for whole and
for streamed replies, which must be the same; lm-eval runs a task made of a local file as `local-chat-completions`, and
must find the teacher's answers in its samples. Both packages get environments of their own, and no network. (`openai`,
`anthropic`, `llm` and stillroom's own `ask` are in the tests.)
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

from benchmarks.ask_contenders.environments import environment
from benchmarks.lm_eval_agreement import LM_EVAL, ask_with_lm_eval, write_questions
from benchmarks.serve_contenders.gateways import LITELLM, stillroom_gateway
from benchmarks.serve_contenders.running import Running

from stillroom.testing import MisbehavingTeacher
from stillroom.testing.answer import short_answer

MODEL = "teacher"
ASK_WITH_LITELLM = """
import json, sys, litellm
told = json.load(sys.stdin)
answers = []
for question in told["questions"]:
    asked = {"model": "openai/" + told["model"], "messages": [{"role": "user", "content": question}]}
    asked |= {"api_base": told["base_url"], "api_key": told["key"]}
    whole = litellm.completion(**asked).choices[0].message.content
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(stream=True, **asked))
    answers.append([whole, streamed])
json.dump(answers, sys.stdout)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--questions", type=int, default=40)
    arguments = parser.parse_args()
    with (
        MisbehavingTeacher() as teacher,
        stillroom_gateway(1, teacher.base_url) as gateway,
        tempfile.TemporaryDirectory() as temporary,
    ):
        path = Path(temporary, "questions.jsonl")
        write_questions(path, arguments.questions)
        questions = [json.loads(line)["question"] for line in path.read_text(encoding="utf-8").splitlines()]
        with_litellm(gateway, questions)
        with_lm_eval(gateway, Path(temporary), path)


def with_litellm(gateway: Running, questions: list[str]) -> None:
    its = environment("litellm", LITELLM, counts_tokens=False)
    told = {"base_url": gateway.base_url, "key": gateway.key, "model": MODEL, "questions": questions}
    done = subprocess.run(
        [its.python, "-c", ASK_WITH_LITELLM],
        input=json.dumps(told),
        env=os.environ | {"LITELLM_LOCAL_MODEL_COST_MAP": "True"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    wanted = [[short_answer(question).content] * 2 for question in questions]
    same = sum(got == each for got, each in zip(json.loads(done.stdout), wanted, strict=True))
    print(f"{LITELLM[0]}: {same} of {len(questions)} questions answered, whole and streamed")
    if same < len(questions):
        raise SystemExit(1)


def with_lm_eval(gateway: Running, folder: Path, questions: Path) -> None:
    its = environment("lm_eval", (LM_EVAL,), counts_tokens=False)
    found = ask_with_lm_eval(folder, questions, its, gateway.base_url, MODEL, 60, gateway.key)
    rows = found["samples"].values()
    same = sum(row["resps"][0][0] == short_answer(row["doc"]["question"]).content for row in rows)
    print(f"{LM_EVAL}: {same} of {len(rows)} questions answered")
    if same < len(rows):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
