"""Which outcomes are worth another call, how soon, and which replies settle a question for good.

| error_kind                                  | again in this run             | again in the next run           |
|---------------------------------------------|-------------------------------|---------------------------------|
| http_429, 503, 529                          | yes, as the pace allows       | yes                             |
| connect, connection, timeout                | yes                           | yes                             |
| http_408, 409, 425, other 5xx               | yes                           | yes                             |
| empty_body, not_json, not_a_reply,          | yes, `BILLED_RETRIES` at most | yes                             |
|   error_in_body, cut_stream                 |                               |                                 |
| no_choices, no_text (status `empty`)        | yes, `BILLED_RETRIES` at most | no                              |
| no_answer (status `empty`)                  | no                            | no                              |
| too_long, too_large, other http_4xx         | no                            | where limit or address changed  |
| permit_* (a 429 too: no time heals it)      | no, it ends the run           | yes                             |
| content_filter, refusal (status `refused`)  | no                            | no                              |
| none (status `truncated`)                   | no                            | where the limit is larger       |
| none (status `ok`)                          | no                            | where it exceeds a strict limit |

A refusal by 429, 503 or 529 says nothing about the question: it is put off, never given up. So is a call for which no
connection was made, where there are other addresses. That the teacher refuses everything, or that nobody is there, is
for `stillroom.client.health` to say.
"""

from __future__ import annotations

import random

from stillroom.client.error_kind import PERMIT_KINDS
from stillroom.store.journal import Finished

BILLED_RETRIES = 2
"""Calls after the first for outcomes that the teacher has probably charged for."""
_BILLED = {"empty_body", "not_json", "not_a_reply", "error_in_body", "cut_stream", "no_choices", "no_text"}
NOT_ANSWERED = {"connect", "connection", "timeout"}
REFUSED = {"http_429", "http_503", "http_529"}
_PASSING_STATUS = {"http_408", "http_409", "http_425"}
_SAID_NO = PERMIT_KINDS | {"key_refused", "no_credit", "no_model", "too_long"}
_MAYBE_BILLED = {"connection", "timeout", "too_large", "http_408", "http_504", "http_524"}

FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 60.0


def is_transient(error_kind: str | None) -> bool:
    """Whether the same call may well succeed later."""
    if error_kind is None:
        return False
    return error_kind in NOT_ANSWERED | REFUSED | _PASSING_STATUS | _BILLED or error_kind.startswith("http_5")


def is_put_off(error_kind: str | None, addresses: int) -> bool:
    """Whether the call is made again without being counted: it cost nothing, and says nothing about the question."""
    return error_kind in REFUSED or (error_kind == "connect" and addresses > 1)


def retries_allowed(error_kind: str | None, retries: int) -> int:
    """Calls after the first one that this outcome is worth, those that are put off not counted."""
    if not is_transient(error_kind):
        return 0
    return min(retries, BILLED_RETRIES) if error_kind in _BILLED else retries


def may_be_billed_unseen(error_kind: str | None, http_status: int | None, *, has_text: bool) -> bool:
    """Whether a call without a readable usage may have cost something.

    It was sent and nobody answered, a gateway gave up waiting for the model, or a reply came that says nothing of it.
    An error with a status is a refusal, also where it stands in the body of a 200; but not where text came before it.
    """
    if error_kind in _MAYBE_BILLED or has_text:
        return True
    is_refusal = error_kind in _SAID_NO or (error_kind or "").startswith("http_")
    return not is_refusal and http_status is not None and 200 <= http_status < 300


def wait_s(retry: int, draw: random.Random) -> float:
    """Seconds before call `retry` + 1, `retry` counting from 0: doubling, and partly random, so that calls that failed
    together do not come back together.
    """
    longest = min(FIRST_WAIT_S * 2 ** min(retry, 10), LONGEST_WAIT_S)
    return draw.uniform(longest / 2, longest)


def is_settled(
    finished: Finished, max_tokens: int | None, addresses: tuple[str, ...], *, strict_limit: bool = True
) -> bool:
    """Whether a reply from an earlier run serves a request with this token limit (None: no limit).

    `strict_limit`: a whole reply that is longer than the limit does not serve. Without it, it does: it has been paid
    for, and is better than a cut one.
    """
    if finished.status == "failed":
        same_call = finished.max_tokens == max_tokens and finished.endpoint in addresses
        return same_call and not is_transient(finished.error_kind)
    if finished.status == "truncated":
        # Cut without a limit of ours: the model's own is reached, and a larger one of ours changes nothing.
        return finished.max_tokens is None or (max_tokens is not None and max_tokens <= finished.max_tokens)
    if finished.status == "ok" and max_tokens is not None and strict_limit:
        length = finished.completion_tokens if finished.completion_tokens is not None else finished.max_tokens
        return length is not None and length <= max_tokens
    return True
