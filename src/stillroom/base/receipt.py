"""The receipt: an owner's signature over one reply, which says nothing of the texts to whoever lacks them.

On the wire it is `<compact JWS>~<salt>`. The JWS holds salted digests; the salt stands beside it, so that the owner can
keep the signed part and nothing that the texts could be guessed from. Whoever has texts, salt and JWS sees whether they
belong together; whoever has the owner's public keys sees that the owner says so.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal, Protocol

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from stillroom.base.canonical import canonical_bytes
from stillroom.base.signatures import (
    LATEST,
    MAX_TOKEN_BYTES,
    PublicKeys,
    SignatureRefused,
    open_token,
)
from stillroom.base.validation import first_problem

RECEIPT_TYP = "stillroom-receipt+jws"
RECEIPT_HEADER = "x-stillroom-receipt"
SALT_BYTES = 16

Label = Literal["prompt", "user", "turn", "settings", "reasoning", "answer", "tool_calls"]

Digest = str
"""base64url of SHA-256 over salt, label, a zero byte and the text in UTF-8: 43 characters."""

_Digest = Annotated[Digest, Field(pattern=r"^[A-Za-z0-9_-]{43}$")]
MOST_TURNS = 16
_NOT_TURNS = ("system", "developer")
_NOT_SETTINGS = {"messages", "prompt", "input", "stream", "stream_options"}


class Said(Protocol):
    """What one choice of a reply said. The texts are those that `stillroom.client.reply` reads out of the body."""

    @property
    def reasoning(self) -> str | None: ...
    @property
    def answer(self) -> str: ...
    @property
    def tool_calls(self) -> Sequence[Mapping[str, Any]] | None: ...


class ReplyDigests(BaseModel):
    """Of one choice. None: there was no such text."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    reasoning: _Digest | None
    answer: _Digest
    tool_calls: _Digest | None


class Receipt(BaseModel):
    """What a receipt says. The names are the claims'."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    v: Literal[1]
    jti: str = Field(min_length=1)
    """The receipt's own id: `GET /receipts/{jti}` gives it again to the account that made the call."""
    iss: str
    """The owner of the model."""
    iat: int = Field(ge=0, le=LATEST)
    """When it was signed: seconds since 1970."""
    at_us: int = Field(ge=0, le=LATEST * 1_000_000)
    """When the call began: microseconds since 1970."""
    call_id: str
    sub: str = Field(pattern=r"^[0-9a-f]{32}$")
    """The account's pseudonym: another one under each permit, so that two permits' receipts can't be joined by it."""
    permit: str | None
    """The id of the permit that the call carried."""
    model: str
    """As it was asked for."""
    served_model: str | None
    """As the server reported it."""
    route: str
    stream: bool
    prompt_tokens: int | None = Field(ge=0)
    completion_tokens: int | None = Field(ge=0)
    """Of all choices together, reasoning included."""
    counted_by: Literal["provider", "estimate"] | None
    prompt: _Digest
    """Of the canonical JSON of what was asked: `messages`, `prompt` or `input`, as the route calls it."""
    user: _Digest | None
    """Of the last user message's text."""
    turns: tuple[_Digest, ...] = Field(default=(), strict=False, max_length=MOST_TURNS)
    """Of the last messages of a conversation, one each, see `turn_digests`."""
    settings: _Digest
    """Of the canonical JSON of the rest of the body, see `request_settings`."""
    replies: tuple[ReplyDigests, ...] = Field(strict=False)
    """One per choice, in the order of their index."""


def salted_digest(salt: bytes, label: Label, text: bytes) -> Digest:
    if len(salt) != SALT_BYTES:
        raise ValueError(f"a salt has {SALT_BYTES} bytes, not {len(salt)}")
    data = b"%b%b\0%b" % (salt, label.encode("ascii"), text)
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest())[:-1].decode("ascii")


def text_digest(salt: bytes, label: Label, text: str) -> Digest:
    return salted_digest(salt, label, text.encode("utf-8", errors="surrogatepass"))


def reply_digests(salt: bytes, said: Said) -> dict[str, Digest | None]:
    """The members of `ReplyDigests`. Empty reasoning and no reasoning are one thing, as are no tool calls.

    White space around a text is not part of it: what is kept of a reply for training is without it.
    """
    reasoning = (said.reasoning or "").strip()
    return {
        "reasoning": text_digest(salt, "reasoning", reasoning) if reasoning else None,
        "answer": text_digest(salt, "answer", said.answer.strip()),
        "tool_calls": salted_digest(salt, "tool_calls", tool_calls_bytes(said.tool_calls)) if said.tool_calls else None,
    }


def turn_digests(salt: bytes, prompt: object) -> list[Digest]:
    """Of the canonical JSON of each of the last `MOST_TURNS` messages; none where there are not two.

    System messages are left out. What is trained on is a conversation without what stood before it, the teacher's own
    system prompt and worked examples: the digest of the whole prompt says nothing about the turns that are left.
    """
    messages = prompt if isinstance(prompt, list) else []
    turns = [each for each in messages if isinstance(each, dict) and each.get("role") not in _NOT_TURNS]
    if len(turns) < 2:
        return []
    return [salted_digest(salt, "turn", canonical_bytes(turn)) for turn in turns[-MOST_TURNS:]]


def request_settings(body: Mapping[str, Any]) -> bytes:
    """Canonical JSON of a request's body without what is asked, and without whether and how it is streamed."""
    members = (
        canonical_bytes(name) + b":" + canonical_bytes(body[name]) for name in sorted(body) if name not in _NOT_SETTINGS
    )
    # Put together here, since a number such as the temperature would make all the tools beside it slow to write.
    return b"{" + b",".join(members) + b"}"


def tool_calls_bytes(calls: Iterable[Mapping[str, Any]]) -> bytes:
    """Canonical JSON of the called functions: `{"arguments", "name"}` of each, the arguments in the text that came.

    `calls` as a whole chat completion has them. Ids are left out: they are the server's, and differ where nothing that
    was said does.
    """
    functions = (call.get("function") for call in calls)
    named = (each if isinstance(each, dict) else {} for each in functions)
    return canonical_bytes([{"arguments": each.get("arguments"), "name": each.get("name")} for each in named])


def on_the_wire(token: str, salt: bytes) -> str:
    return f"{token}~{base64.urlsafe_b64encode(salt)[:-2].decode('ascii')}"


def from_the_wire(wire: str) -> tuple[str, bytes]:
    """The JWS and the salt. Raises SignatureRefused."""
    token, _, written = wire.partition("~")
    try:
        salt = base64.b64decode(written + "==", b"-_", validate=True)
    except (binascii.Error, ValueError) as error:
        raise SignatureRefused("malformed", "Its salt, after `~`, is not base64url.") from error
    if len(salt) != SALT_BYTES or on_the_wire(token, salt) != wire:
        raise SignatureRefused("malformed", f"Its salt, after `~`, is not {SALT_BYTES} bytes in base64url.")
    return token, salt


def read_receipt(wire: str, keys: PublicKeys, now: int) -> tuple[Receipt, bytes]:
    """A receipt that one of these keys signed while it was in use, and its salt. `now`: seconds since 1970.

    Raises SignatureRefused.
    """
    token, salt = _from_the_wire_bounded(wire)
    claims, key = open_token(token, RECEIPT_TYP, keys)
    receipt = _receipt(claims)
    key.check_time(receipt.iat, now)
    return receipt, salt


def _from_the_wire_bounded(wire: str) -> tuple[str, bytes]:
    if len(wire) > MAX_TOKEN_BYTES:
        raise SignatureRefused("too_large", f"It has {len(wire)} characters, more than the {MAX_TOKEN_BYTES} allowed.")
    return from_the_wire(wire)


def _receipt(claims: dict[str, Any]) -> Receipt:
    try:
        return Receipt.model_validate(claims)
    except ValidationError as error:
        raise SignatureRefused("claims", f"It is no receipt of this version: {first_problem(error)}.") from error
