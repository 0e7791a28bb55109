"""How many held-out questions the student answers rightly while it is trained: the best checkpoint goes by that.

A lower loss is no better student: the loss counts every word of the teacher's, and an answer is right or wrong. So the
student answers, greedily, behind the prompt that it will be served with, and its answers are verified like all others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.base.records import Question, Trace
from stillroom.generate.generator import Generation, Generator
from stillroom.generate.load import LocalModel
from stillroom.generate.prompt import marks_not_shown, opens_think
from stillroom.generate.sampling import Sampling
from stillroom.store.tables import read_questions, read_traces
from stillroom.text.think import split_think
from stillroom.train.packing import FLASH
from stillroom.train.render import Rendered
from stillroom.verify import verify_many


@dataclass(frozen=True, slots=True)
class HeldOutFiles:
    """Where the check has put what is not trained on."""

    traces: Path
    """held_out.parquet: the teacher's replies to the held-out questions. It need not exist."""
    questions: Path
    """questions.parquet: the held-out questions among others, with their answers."""

    def read_traces(self, most: int) -> list[Trace]:
        """One trace of each of the first `most` questions. Raises StoreError for a damaged file."""
        by_question: dict[str, Trace] = {}
        for trace in read_traces(self.traces) if self.traces.exists() else ():
            if len(by_question) == most and trace.question_id not in by_question:
                break
            by_question.setdefault(trace.question_id, trace)
        return list(by_question.values())

    def read_questions(self, wanted: Sequence[Trace]) -> dict[str, Question]:
        """Those whose answers can be verified, by id."""
        ids = {trace.question_id for trace in wanted}
        found = (question for question in read_questions(self.questions) if question.id in ids) if ids else ()
        return {str(question.id): question for question in found if question.kind != "none"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A question as the student is asked it."""

    question: Question
    prompt: list[int]
    opened_by_prompt: bool
    """Whether the prompt has opened the think block."""


@dataclass(frozen=True, slots=True)
class HeldOutMark:
    """How the student did after so many steps."""

    step: int
    right: int
    asked: int
    """Questions whose answers can be verified; where there are none, only the loss says something."""
    loss: float
    """Nats per trained token of the teacher's replies to the held-out questions."""
    cut: int = 0
    """Answers that ran into the limit of tokens. They are not right."""

    @property
    def order(self) -> tuple[int, float, int]:
        """The greater, the better: more right answers, then a lower loss, then the earlier step."""
        return (self.right, -self.loss, -self.step)


def as_asked(rendered: Sequence[Rendered], questions: dict[str, Question], local: LocalModel) -> list[Asked]:
    """The questions of the traces, each with the prompt of its last reply."""
    asked = []
    for each in rendered:
        question = questions.get(each.trace.question_id)
        if question is None or not each.rows or not each.rows[-1].replies:
            continue
        row = each.rows[-1]
        prompt = [int(token) for token in row.ids[: row.replies[-1].start]]
        text = local.tokenizer.backend_tokenizer.decode(prompt, skip_special_tokens=False)
        asked.append(Asked(question, prompt, opens_think(text)))
    return asked


def count_right(asked: Sequence[Asked], local: LocalModel, max_tokens: int) -> tuple[int, int]:
    """(right answers, answers that were cut), each question answered once and greedily.

    The same weights give the same counts: all questions are handed over at once, so that no batch is made up by chance.
    Raises StillroomError where a process that verifies cannot be started.
    """
    if not asked:
        return 0, 0
    sampling = Sampling(max_tokens=max_tokens, temperature=0.0)
    with _answering(local) as generator:
        generations = generator.submit_all([(each.prompt, sampling) for each in asked])
        answers = [_answer(generation, each, local) for generation, each in zip(generations, asked, strict=True)]
    whole = [(each.question, answer) for each, answer in zip(asked, answers, strict=True) if answer is not None]
    judged = verify_many(whole)
    return sum(judgement.verdict == "right" for judgement in judged), len(asked) - len(whole)


def _answer(generation: Generation, asked: Asked, local: LocalModel) -> str | None:
    """The answer without its reasoning; None where the reply was cut."""
    tokens = generation.result()
    if not tokens or tokens[-1] not in local.end_ids:
        return None
    hidden = local.end_ids | marks_not_shown(local.tokenizer)
    shown = [token for token in tokens if token not in hidden]
    text = local.tokenizer.backend_tokenizer.decode(shown, skip_special_tokens=False)
    return split_think(text, opened_by_prompt=asked.opened_by_prompt).answer


@contextmanager
def _answering(local: LocalModel) -> Iterator[Generator]:
    """A generator over the model that is being trained, which is as it was afterwards."""
    model: Any = local.model.train(False)
    attention = model.config._attn_implementation
    if attention == FLASH:  # it knows no masks, by which rows of a running batch are told apart
        model.set_attn_implementation("sdpa")
    generator = Generator(local)
    try:
        yield generator
    finally:
        generator.close()
        if attention == FLASH:
            model.set_attn_implementation(attention)
        model.train()
