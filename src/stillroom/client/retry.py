"""Which outcomes are worth another call, how soon, and which replies settle a question for good.

| error_kind                                       | called again in this run      | asked again in the next run    |
|--------------------------------------------------|-------------------------------|--------------------------------|
| connect, connection, timeout                     | yes                           | yes                            |
| http_408, 409, 425, 429, 5xx                     | yes, after Retry-After        | yes                            |
| empty_body, not_json, not_a_reply, error_in_body | yes, `BILLED_RETRIES` at most | yes                            |
| no_choices, no_text (status `empty`)             | yes, `BILLED_RETRIES` at most | no                             |
| no_answer (status `empty`)                       | no                            | no                             |
| too_long, other http_4xx                         | no                            | where limit or address changed |
| content_filter, refusal (status `refused`)       | no                            | no                             |
| none (status `truncated`)                        | no                            | where the limit is larger      |
| none (status `ok`)                               | no                            | where it exceeds the limit     |
"""

from __future__ import annotations

import random
from datetime import UTC
from email.utils import parsedate_to_datetime

from stillroom.store.journal import Finished

BILLED_RETRIES = 2
"""Calls after the first for outcomes that the teacher has probably charged for."""
_BILLED = {"empty_body", "not_json", "not_a_reply", "error_in_body", "no_choices", "no_text"}
_NOT_ANSWERED = {"connect", "connection", "timeout"}
_PASSING_STATUS = {"http_408", "http_409", "http_425", "http_429"}

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0
LONGEST_RETRY_AFTER_S = 3600.0


def is_transient(error_kind: str | None) -> bool:
    """Whether the same call may well succeed later."""
    if error_kind is None:
        return False
    return error_kind in _NOT_ANSWERED | _PASSING_STATUS | _BILLED or error_kind.startswith("http_5")


def retries_allowed(error_kind: str | None, retries: int) -> int:
    """Calls after the first one that this outcome is worth."""
    if not is_transient(error_kind):
        return 0
    return min(retries, BILLED_RETRIES) if error_kind in _BILLED else retries


def wait_s(retry: int, retry_after_s: float | None, draw: random.Random) -> float:
    """Seconds before call `retry` + 1, `retry` counting from 0: what the server asked for, or a wait that doubles.

    Either is lengthened by a random part, so that calls that failed together do not come back together.
    """
    if retry_after_s is not None:
        return min(retry_after_s, LONGEST_RETRY_AFTER_S) + draw.uniform(0, FIRST_WAIT_S)
    longest = min(FIRST_WAIT_S * 2**retry, LONGEST_WAIT_S)
    return draw.uniform(longest / 2, longest)


def read_retry_after(value: str | None, now_us: int) -> float | None:
    """Seconds in a Retry-After header, which holds seconds or a date; None where it holds neither."""
    if value is None:
        return None
    text = value.strip()
    if text.replace(".", "", 1).isascii() and text.replace(".", "", 1).isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    date = date if date.tzinfo else date.replace(tzinfo=UTC)
    return max(0.0, date.timestamp() - now_us / 1e6)


def is_settled(finished: Finished, max_tokens: int | None, endpoint: str) -> bool:
    """Whether a reply from an earlier run serves a request with this token limit (None: no limit) at this address."""
    if finished.status == "failed":
        same_call = (finished.max_tokens, finished.endpoint) == (max_tokens, endpoint)
        return same_call and not is_transient(finished.error_kind)
    if finished.status == "truncated":
        # Cut without a limit of ours: the model's own is reached, and a larger one of ours changes nothing.
        return finished.max_tokens is None or (max_tokens is not None and max_tokens <= finished.max_tokens)
    if finished.status == "ok" and max_tokens is not None:
        length = finished.completion_tokens if finished.completion_tokens is not None else finished.max_tokens
        return length is not None and length <= max_tokens
    return True
