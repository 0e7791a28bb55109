"""Why a row is not vouched for."""

from __future__ import annotations

from typing import Literal, get_args

Reason = Literal[
    "missing",
    "malformed",
    "broken_signature",
    "foreign_key",
    "key_not_in_use",
    "other_reply",
    "altered_user",
    "altered_turn",
    "altered_reasoning",
    "altered_answer",
    "altered_tool_calls",
    "altered_teacher",
    "altered_lines",
    "used_twice",
    "no_permit",
    "other_permit",
    "foreign_account",
    "permit_model",
    "permit_time",
    "permit_revoked",
    "permit_calls",
    "permit_tokens",
]

REASONS: dict[str, str] = {
    "missing": "without a receipt",
    "malformed": "with a receipt that is none",
    "broken_signature": "with a signature that does not fit",
    "foreign_key": "signed with a key that is not the owner's",
    "key_not_in_use": "signed when the owner's key was not in use",
    "other_reply": "with another reply's receipt",
    "altered_user": "with another question than was asked",
    "altered_turn": "with another earlier turn than the teacher read",
    "altered_reasoning": "with other reasoning than was replied",
    "altered_answer": "with another answer than was replied",
    "altered_tool_calls": "with other tool calls than were replied",
    "altered_teacher": "that name another teacher than replied",
    "altered_lines": "that the file of lines has otherwise",
    "used_twice": "with a receipt that another row has used",
    "no_permit": "asked for without a permit",
    "other_permit": "asked for under a permit that is not here",
    "foreign_account": "asked for by an account that the permit does not name",
    "permit_model": "of a model that the permit does not name",
    "permit_time": "asked for outside of the permit's time",
    "permit_revoked": "under a permit that is revoked",
    "permit_calls": "beyond the calls that the permit allows",
    "permit_tokens": "beyond the tokens that the permit allows",
}
"""`12 rows` and these words. The first that fits, in this order."""

assert tuple(REASONS) == get_args(Reason)
