"""One question, asked: the body that is sent, and the keys that name its replies."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from stillroom.base.canonical import canonical_bytes
from stillroom.base.records import Message, Question
from stillroom.client.settings import Endpoint, Sampling

LIMIT_FIELDS = ("max_tokens", "max_completion_tokens")
_NOT_TOKENS = 64
"""Tokens that a chat template may add around the messages, beyond one for each byte of the body."""


class RequestSettings:
    """What all requests of a run share: the model and how it is to answer.

    A request's key is the digest of what decides the reply: the messages, the model, the sampling settings,
    `extra_body`, and which sample it is. Not in it: the question's id, so that two questions with the same messages
    share a reply; the address, so that a teacher that moved is not asked again; and the token limit, since a finished
    reply satisfies any limit that it fits in.
    """

    def __init__(self, endpoint: Endpoint, sampling: Sampling, limit: int | None = None) -> None:
        """`limit`: tokens of one reply at most, in place of what the settings say."""
        self.model = endpoint.model
        extra_body = dict(endpoint.extra_body)
        if limit is not None:
            sampling = sampling.model_copy(update={"max_tokens": limit})
            extra_body |= {name: limit for name in LIMIT_FIELDS if extra_body.get(name) is not None}
        self.max_tokens = _limit(extra_body, sampling.max_tokens)
        """The most tokens of one reply, whichever field says it; None: no limit is sent."""
        self._seed = sampling.seed
        in_key = {
            "teacher": endpoint.model,
            "sampling": sampling.model_dump(exclude_none=True, exclude={"max_tokens"}),
            "extra_body": {name: value for name, value in extra_body.items() if name not in LIMIT_FIELDS},
        }
        self._key_head = hashlib.sha256(canonical_bytes(in_key)).digest()
        fields: dict[str, Any] = {"model": endpoint.model, **sampling.model_dump(exclude_none=True)}
        if endpoint.stream:
            fields |= {"stream": True, "stream_options": {"include_usage": True}}
        fields |= extra_body
        self._fields = {name: value for name, value in fields.items() if value is not None}
        self._plain_body = self._head(self._fields)

    def key(self, messages: bytes, sample: int) -> str:
        """`sha256:` and hex. `messages` as `sent_messages` gives them."""
        return "sha256:" + hashlib.sha256(self._key_head + sample.to_bytes(8, "big") + messages).hexdigest()

    def body(self, messages: bytes, samples: Sequence[int]) -> bytes:
        """The JSON that is sent. A null in `extra_body` takes a field of ours out."""
        if len(samples) == 1 and self._seed is None:
            return b"%b%b}" % (self._plain_body, messages)
        fields = dict(self._fields)
        if len(samples) > 1:
            fields["n"] = len(samples)
        if self._seed is not None and fields.get("seed") == self._seed:
            fields["seed"] = self._seed + samples[0]
        return b"%b%b}" % (self._head(fields), messages)

    @staticmethod
    def _head(fields: dict[str, Any]) -> bytes:
        text = json.dumps(fields, ensure_ascii=False, allow_nan=False)
        return text[:-1].encode("utf-8") + b', "messages": '


@dataclass(slots=True)
class ChatRequest:
    """One question with the samples of it that are wanted."""

    question_id: str
    messages: bytes
    """Canonical JSON of what is sent."""
    settings: RequestSettings
    samples: tuple[int, ...] = (0,)
    """Each counts from 0: which of several replies to the same question."""
    question: Question | None = None
    """For whoever looks at the replies while more are asked for."""
    keys: tuple[str, ...] = field(init=False)
    """One for each sample."""

    def __post_init__(self) -> None:
        self.keys = tuple(self.settings.key(self.messages, sample) for sample in self.samples)

    @property
    def key(self) -> str:
        """The first sample's."""
        return self.keys[0]

    def body(self) -> bytes:
        return self.settings.body(self.messages, self.samples)

    def only(self, samples: Sequence[int]) -> ChatRequest:
        """The same question, with other samples."""
        return ChatRequest(self.question_id, self.messages, self.settings, tuple(samples), self.question)


def sent_messages(messages: Iterable[Message]) -> bytes:
    """Messages as they are sent, in canonical JSON. Whether one is trained on is no business of the teacher's."""
    return canonical_bytes(
        [message.model_dump(exclude_none=True, exclude={"train", "reasoning"}) for message in messages]
    )


def sent_json(stored: str) -> bytes:
    """`sent_messages` of a question's messages as they are stored, in canonical JSON."""
    if '"reasoning"' in stored or '"train"' in stored:
        return sent_messages(Message.model_validate(message) for message in json.loads(stored))
    return stored.encode("utf-8")


def requests_for(
    questions: Iterable[Question], endpoint: Endpoint, sampling: Sampling, samples: int = 1
) -> Iterator[ChatRequest]:
    """A request of `samples` samples for each question, made as it is taken."""
    settings = RequestSettings(endpoint, sampling)
    for question in questions:
        yield ChatRequest(question.id, sent_messages(question.messages), settings, tuple(range(samples)))


def most_tokens(body: bytes, max_tokens: int | None, samples: int) -> tuple[int, int | None]:
    """Prompt and completion tokens that a call can be billed for at most; None where there is no limit.

    No tokenizer in use makes more tokens than there are bytes.
    """
    return len(body) + _NOT_TOKENS, None if max_tokens is None else max_tokens * samples


def _limit(extra_body: dict[str, Any], max_tokens: int | None) -> int | None:
    limits = [extra_body.get(name) for name in LIMIT_FIELDS if name in extra_body]
    if "max_tokens" not in extra_body:
        limits.append(max_tokens)
    given = [limit for limit in limits if isinstance(limit, int) and not isinstance(limit, bool)]
    return max(given, default=None)
