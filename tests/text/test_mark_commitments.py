"""Commitments to keys: written once, each following the one before, and found where one was changed."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stillroom.base.errors import StoreError
from stillroom.base.signatures import PublicKeys, SigningKey
from stillroom.store.secrets import Secrets
from stillroom.text.mark_commitments import (
    RECORD_TYPE,
    CommitmentLine,
    Marking,
    commit,
    commitments_file,
    read_commitments,
    signature_problems,
)

MARKING = Marking("abacus", "acct_1", 0.25, 2.0, f"sha256:{'0' * 64}")


def test_a_commitment_is_to_all_that_the_mark_depends_on() -> None:
    from dataclasses import replace

    key = MARKING.mark(Secrets(bytes(32))).key
    others = [
        replace(MARKING, model="other"),
        replace(MARKING, account="acct_2"),
        replace(MARKING, account=None),
        replace(MARKING, share=0.5),
        replace(MARKING, strength=2.5),
        replace(MARKING, tokenizer=f"sha256:{'1' * 64}"),
    ]
    commitments = [MARKING.commitment(key), MARKING.commitment(bytes(16)), *(each.commitment(key) for each in others)]
    assert len(set(commitments)) == len(commitments)
    keys = [each.mark(Secrets(bytes(32))).key for each in (MARKING, *others[:3])]
    assert len(set(keys)) == 4
    assert MARKING.mark(Secrets(bytes([1] * 32))).key not in keys


def test_signatures(tmp_path: Path) -> None:
    ours, theirs = SigningKey.generate(), SigningKey.generate()
    for number, key in enumerate((ours, ours, theirs)):
        commit(tmp_path, f"sha256:{number:064x}", 0, lambda record, key=key: key.sign(RECORD_TYPE, record))  # type: ignore[misc]
    lines = read_commitments(commitments_file(tmp_path))
    keys = PublicKeys.from_jwks(_jwks(ours), "test")
    assert signature_problems(lines[:2], keys) == []
    (problem,) = signature_problems(lines, keys)
    assert problem.startswith("Commitment 2: ")
    (problem,) = signature_problems([CommitmentLine(lines[1].record, lines[0].jws)], keys)
    assert problem == "Commitment 1 is not what was signed."


def _jwks(key: SigningKey) -> bytes:
    import json

    published = {**key.jwk.as_dict(private=False), "kid": key.kid, "use": "sig", "alg": "Ed25519"}
    return json.dumps({"keys": [published]}).encode()


def test_two_that_commit_at_once_write_one_line(tmp_path: Path) -> None:
    commitment = f"sha256:{'a' * 64}"
    threads = [threading.Thread(target=commit, args=(tmp_path, commitment, 5, lambda _: "jws")) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (line,) = read_commitments(commitments_file(tmp_path))
    assert (line.record.index, line.record.at, line.record.previous) == (0, 5, None)


def test_a_line_that_was_changed_or_taken_out_is_found(tmp_path: Path) -> None:
    path = commitments_file(tmp_path)
    for number in range(3):
        commit(tmp_path, f"sha256:{number:064x}", 10 - number, lambda _: "jws")
    lines = path.read_bytes().splitlines(keepends=True)
    assert [line.record.at for line in read_commitments(path)] == [10, 10, 10]  # a clock that goes back moves none
    for changed in (
        lines[1:],
        [lines[0], lines[2]],
        [lines[1], lines[0], lines[2]],
        [lines[0].replace(b'"at":10', b'"at":11'), *lines[1:]],
        [lines[0].replace(b'"at":10', b'"at":-1'), *lines[1:]],
        [b"{}\n", *lines[1:]],
        [b"no json\n"],
    ):
        path.write_bytes(b"".join(changed))
        with pytest.raises(StoreError, match="line "):
            read_commitments(path)
    path.write_bytes(b"".join(lines) + b'{"record": {"in')  # a kill in the middle of a line
    assert len(read_commitments(path)) == 3
