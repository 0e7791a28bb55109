"""One question, asked once: the body that is sent, and the key that names its reply."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from stillroom.base.canonical import digest
from stillroom.base.records import Message, Question
from stillroom.client.settings import Endpoint, Sampling


@dataclass(frozen=True)
class ChatRequest:
    question_id: str
    messages: tuple[Message, ...]
    model: str
    sampling: Sampling
    sample: int = 0
    """Counts from 0: which of several replies to the same question."""
    extra_body: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def key(self) -> str:
        """Digest of what decides the reply. Not in it: the question's id, so that two questions with the same messages
        share a reply; the address, so that a teacher that moved is not asked again; and the token limit, since a
        finished reply satisfies any limit that it fits in.
        """
        sampling = self.sampling.model_dump(exclude_none=True, exclude={"max_tokens"})
        return digest(
            {
                "messages": self._sent_messages(),
                "teacher": self.model,
                "sampling": sampling,
                "sample": self.sample,
                "extra_body": dict(self.extra_body),
            }
        )

    def body(self) -> bytes:
        """The JSON that is sent. A null in `extra_body` takes a field of ours out."""
        fields: dict[str, Any] = {
            "model": self.model,
            "messages": self._sent_messages(),
            **self.sampling.model_dump(exclude_none=True),
        }
        if self.sampling.seed is not None:
            fields["seed"] = self.sampling.seed + self.sample
        fields.update(self.extra_body)
        fields = {name: value for name, value in fields.items() if value is not None}
        return json.dumps(fields, ensure_ascii=False, allow_nan=False).encode("utf-8")

    def _sent_messages(self) -> list[dict[str, Any]]:
        # Whether a message is trained on is no business of the teacher's.
        return [message.model_dump(exclude_none=True, exclude={"train", "reasoning"}) for message in self.messages]


def requests_for(
    questions: Iterable[Question], endpoint: Endpoint, sampling: Sampling, samples: int = 1
) -> Iterator[ChatRequest]:
    """`samples` requests for each question, made as they are taken: memory does not grow with the questions."""
    for question in questions:
        for sample in range(samples):
            yield ChatRequest(question.id, question.messages, endpoint.model, sampling, sample, endpoint.extra_body)
