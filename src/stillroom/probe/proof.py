"""Whether pairs are what the gateway committed to when it served one reply of each."""

from __future__ import annotations

from collections.abc import Sequence

from stillroom.base.errors import DataError
from stillroom.base.signatures import PublicKeys, SignatureRefused
from stillroom.probe.logged_call import LoggedCall
from stillroom.probe.pairs import evidence_problems
from stillroom.store.siblings import Opening, Pair
from stillroom.text.counted import counted


def proof_problems(
    pairs: Sequence[Pair],
    openings: Sequence[Opening],
    calls: Sequence[LoggedCall],
    keys: PublicKeys,
    *,
    is_strict: bool,
) -> tuple[list[str], list[str]]:
    """What is wrong, a sentence each, and what could not be checked.

    `is_strict`: the call log has to be signed with one of `keys`. Otherwise, where it is signed with keys that are not
    among them, that is what could not be checked.
    """
    recorded = [opening for opening in openings if opening.coin_from == "recorded"]
    if not recorded:
        return evidence_problems(pairs, openings, calls, None), []
    with_keys = is_strict or not _is_signed_with_other_keys(calls, keys)
    problems = evidence_problems(pairs, openings, calls, keys if with_keys else None)
    if with_keys:
        return problems, []
    return problems, [
        f"Whether the gateway signed the call log was not checked: its keys are not here. The rows of "
        f"{counted(len(recorded), 'call')} are in the segments whose records are in the bundle; whether these records "
        "are the gateway's is for its public keys to say."
    ]


def _is_signed_with_other_keys(calls: Sequence[LoggedCall], keys: PublicKeys) -> bool:
    for call in {call.jws: call for call in calls}.values():  # one of each record
        try:
            call.signed_at(keys)
        except SignatureRefused as refused:
            if refused.reason == "unknown_key" or call.jws is None:
                return True
        except DataError:  # for `evidence_problems` to tell
            continue
    return False
