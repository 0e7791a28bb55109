"""The rows that cross the boundaries between stages.

Times are UTC integers of microseconds (`*_at`, `*_us`), money is a decimal string in USD (`*_usd`), a digest is
`sha256:` and hex; what is unknown is None, never empty or zero. Rows that people write (Question, Trace) are pydantic
models and are checked when read; rows that only we write (Reply, Attempt) are plain dataclasses.
The Arrow schemas of the same rows are in `stillroom.store.tables`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field

from stillroom.base.canonical import canonical_bytes, digest_bytes

Kind = Literal["math", "number", "exact", "choice", "code", "json", "task", "instructions", "none"]
Status = Literal["ok", "truncated", "refused", "empty", "failed"]
ReasoningForm = Literal["full", "summary", "hidden", "none"]
Verdict = Literal["right", "wrong", "unsure", "unverifiable"]
JudgedBy = Literal["verifier", "agreement", "judge"]
Role = Literal["system", "user", "assistant", "tool"]


class Message(BaseModel):
    """One turn of a conversation, in OpenAI's shape, with the reasoning of an assistant kept apart from its answer."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    content: str
    reasoning: str | None = None
    tool_calls: tuple[dict[str, Any], ...] | None = None
    train: bool | None = None
    """In a Trace: whether the loss falls on this message. None means: on assistant messages only."""


class Question(BaseModel):
    """Something to ask, and how to tell whether the answer is right.

    `answer` is the reference in text (for `choice` the letter); `meta` holds what a verifier or a generator needs:
    for `kind: task`, `meta["task"]` names the reasoning-gym task and `meta["entry"]` is the entry its scorer expects.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: str
    messages: tuple[Message, ...] = Field(min_length=1)
    answer: str | None = None
    kind: Kind = "none"
    source: str
    licence: str | None = None
    split: str | None = None
    family: str | None = None
    meta: dict[str, Any] = Field(default_factory=dict)


@dataclass(slots=True)  # not frozen: that takes three times as long to make, a fiftieth of what a question takes
class Reply:
    """One finished exchange with a model, as the ask journal keeps it. One row per `key`."""

    key: str
    """Digest of the canonical request; see `stillroom.client.request`."""
    question_id: str
    sample: int
    teacher: str
    """The model's name as it was asked for."""
    served_model: str | None
    """The model's name as the server reported it."""
    fingerprint: str | None
    endpoint: str
    asked_at: int
    latency_us: int
    status: Status
    error_kind: str | None
    reasoning_form: ReasoningForm
    finish_reason: str | None
    prompt_tokens: int | None
    cached_tokens: int | None
    completion_tokens: int | None
    reasoning_tokens: int | None
    counted_by: Literal["provider", "estimate"] | None
    """Who counted the tokens; None where nobody did."""
    cost_usd: str | None
    price_id: str | None
    receipt: str | None
    max_tokens: int | None
    """The limit it was given. Not part of `key`: a finished reply satisfies any limit at least as long as itself."""
    http_status: int | None
    """None where nothing came."""
    choice: int
    """Which of the body's choices it is: a call may ask for several samples at once."""
    raw: bytes
    """The body as it came (zstd in the journal): the one place where the text lies."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call that was sent, and may have been billed, whatever came of it."""

    key: str
    """The request's; of a call that asks for several samples, the first one's."""
    attempt: int
    """Counts from 0."""
    sent_at: int
    status: Literal["ok", "retry", "failed", "unknown"]
    """`unknown`: whether and how much it was billed was never seen (a kill, a reset, no usage). It counts as spent."""
    error_kind: str | None
    cost_usd: str | None
    """What it cost by the usage that came with it; None where nothing was billed, or nobody knows."""
    tokens: int | None
    """Prompt and completion tokens by that usage."""
    reserved_usd: str | None
    """The most it could cost, reserved before it was sent: what an unknown outcome counts as."""
    reserved_tokens: int | None
    request_id: str
    """What the call was sent with as X-Client-Request-Id: the teacher's books can be matched with ours by it."""


class Trace(BaseModel):
    """What training reads: a conversation whose trained turns passed the checks, and where it came from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    question_id: str
    messages: tuple[Message, ...] = Field(min_length=1)
    verdict: Verdict = "unverifiable"
    pass_rate: float | None = Field(default=None, ge=0, le=1)
    tokens: int | None = None
    """Completion tokens as the teacher counted them."""
    teacher: str | None = None
    terms_id: str | None = None
    reply_key: str | None = None
    receipt: str | None = None
    source: str
    licence: str | None = None
    family: str | None = None
    kind: Kind | None = None
    expected: str | None = None
    """The question's reference answer."""
    judged_by: JudgedBy | None = None
    """Who came to the verdict; None where nobody did (`unverifiable`)."""
    tools: tuple[dict[str, Any], ...] | None = None
    """What the assistant may call, in OpenAI's shape: the student's chat template writes it into the prompt."""


def question_id(messages: Sequence[Message]) -> str:
    """The id of a question that came without one: the digest of its messages."""
    return digest_bytes(messages_bytes(messages))


def messages_bytes(messages: Sequence[Message]) -> bytes:
    """Canonical bytes of the messages, without what is null: what a question's id is the digest of."""
    plain = [message.model_dump(exclude_none=True) for message in messages]
    if any(message.tool_calls is not None for message in messages):
        return canonical_bytes(plain)
    # Text and truth values only: here orjson writes the same bytes, in a tenth of the time.
    return orjson.dumps(plain, option=orjson.OPT_SORT_KEYS)


Route = Literal["chat", "completions", "responses", "embeddings", "messages"]
CallStatus = Literal["ok", "refused", "failed", "hung_up", "unknown"]


@dataclass(slots=True)  # not frozen: it is settled in place, once
class Call:
    """One call that the gateway passed to a model, as its log keeps it. No text of it: prints and counts only.

    What is known before the model is asked stands in the intent; the rest is None there, the prints among it, and
    `status` is `unknown`.
    A `*_print` is a keyed HMAC in hex (16 bytes): equal for equal things of one key epoch, and no way back.
    """

    call_id: str
    at: int
    """When it came, UTC in microseconds."""
    account: str
    organisation: str
    key_id: str
    model: str
    """As the client named it."""
    route: Route
    stream: bool
    turns: int | None
    max_tokens: int | None
    temperature: float | None
    n: int | None
    asks_reasoning: bool | None
    asks_logprobs: bool | None
    asks_grading: bool | None
    ip_print: str | None
    tls_print: str | None
    agent: str | None
    """The name and version that the client's User-Agent begins with, at most 64 characters."""
    billing_print: str | None
    user_print: str | None
    """Of the `user` field that the client sent: a label, never an identity."""
    prompt_print: str | None
    system_print: str | None
    skeleton_print: str | None
    print_key_id: str | None
    permit_id: str | None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    reasoning_tokens: int | None = None
    counted_by: Literal["provider", "estimate"] | None = None
    cost_usd: str | None = None
    latency_us: int | None = None
    status: CallStatus = "unknown"
    """`refused`: the model's filter, or the upstream refused the request; `failed`: the upstream broke; `hung_up`: the
    client did; `unknown`: the gateway ended between the intent and the settlement."""
    http_status: int | None = None
    """What the client was answered with; None where nothing was."""
    receipt_id: str | None = None
    escrow_digest: str | None = None
    """Commits to both replies of a call whose second reply is kept sealed; None for every other call."""


@dataclass(frozen=True, slots=True)
class AccountEvent:
    """A change of an account, as the owner's records keep it: append-only."""

    id: int
    at: int
    """UTC in microseconds."""
    organisation: str | None
    """None: of an administrator who belongs to none."""
    account: str | None
    """None: of the organisation itself."""
    event: str
    """`created`, `accepted terms`, `payment changed`, `restricted`, `closed`, `replaced`, `key created` and so on."""
    actor: str
    """Who did it: the name of an administrator's credential."""
    detail: dict[str, Any]
    """What changed, without secrets."""
    prints: dict[str, str]
    """Keyed prints of what the account was registered with, such as `billing`."""


Family = Literal["network", "payment", "client", "content", "time"]
"""What a signal or a link rests on. A finding rests on two of them at least."""
FindingStatus = Literal["open", "confirmed", "dismissed", "asked", "drill"]
"""`asked`: the customer was asked; `drill`: one of the operator's own sanctioned campaigns."""


@dataclass(frozen=True, slots=True)
class FindingSignal:
    name: str
    family: Family
    value: float
    standing: float | None
    """The share of the operator's accounts (or groups) whose value is lower: 0 to 1. None where there is none to
    compare with."""
    sentence: str
    """Plain words, with the numbers in them."""


@dataclass(frozen=True, slots=True)
class FindingLink:
    family: Family
    kind: str
    """What is shared: `ip`, `billing`, `client`, `system`, `template`, `shards`, `in step`, `turns` and so on."""
    accounts: int
    """How many of the finding's accounts it links."""
    others: int | None
    """How many accounts outside of the finding share it."""
    sentence: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """A benign explanation that was tested."""

    name: str
    """`office`, `application`, `benchmark run`, `one customer`, `reseller`, `batch job`, `agent`, ..."""
    is_ruled_out: bool
    sentence: str
    """What speaks for it, and what against."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What a person is asked to look at. It never acts by itself."""

    id: str
    """Stays the same while a campaign goes on, also when its accounts are replaced."""
    kind: Literal["account", "campaign"]
    accounts: tuple[str, ...]
    organisations: tuple[str, ...]
    since_at: int
    until_at: int
    """UTC in microseconds: the window that was looked at."""
    found_at: int
    score: float
    alarm_rate: float | None
    """Findings of this score or more that are expected a month, on this operator's traffic; None before calibration."""
    signals: tuple[FindingSignal, ...]
    links: tuple[FindingLink, ...]
    explanations: tuple[Explanation, ...]
    against: tuple[str, ...]
    """What would speak against it: sentences."""
    calls: int
    questions: int | None
    """Different questions, where they can be counted."""
    permits: tuple[str, ...]
    """Permits that cover other calls of these accounts: those calls are not in the finding."""
    permitted_calls: int
    calls_root: str | None
    """Digest of the signed roots of the calls' log that it was made from."""
    detector_version: str
    status: FindingStatus = "open"
