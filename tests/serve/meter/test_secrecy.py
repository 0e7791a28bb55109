"""Nothing that a client sent, and nothing of a reply, is in any file of the log: neither open nor sealed."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stillroom.serve.meter.segment_file import open_segments
from stillroom.store.calls import SCHEMAS, sealed_segments
from stillroom.store.secrets import Secrets
from stillroom.text.prints import Prints

SECRET = bytes(range(100, 132))
KEY = "sr-aB3dE5gH-thatIsTheKeyOfTheAccountAndNobodyElses"
PROMPT = 'Please prove that Quillfeather\'s 1,729 lemmas are exhaustive, as in "the marmalade memorandum".'
SYSTEM = "You are Grimaldi, the assistant of Pomfret & Sons."
REPLY = "Quillfeather's lemmas follow by induction on marmalade."
ADDRESS, NETWORK = "198.51.100.77", "198.51.100."
USER = "customer-4711@pomfret.example"
TLS = "t13d1516h2_8daaf6152771_b186095e22b6"


def log_a_call(log: Any, begun: Any, settled: Any) -> None:
    prints = Prints(Secrets(SECRET), "2026q4")
    texts = prints.texts(PROMPT, SYSTEM)
    call = begun(
        ip_print=prints.address(ADDRESS),
        tls_print=prints.label("tls", TLS),
        user_print=prints.label("user", USER),
        billing_print=prints.label("billing", KEY),
        prompt_print=texts.prompt,
        system_print=texts.system,
        skeleton_print=texts.skeleton,
        print_key_id=prints.print_key_id,
    )
    log.begin(call)
    earlier = Prints(Secrets(SECRET), "2026q3").earlier(ADDRESS, TLS, USER, PROMPT, SYSTEM)
    log.settle(settled(call), texts.sketch, "a receipt", earlier)


def test_neither_text_nor_address_nor_key_is_in_any_file(tmp_path: Path, opened: Any, begun: Any, settled: Any) -> None:
    told = [KEY, PROMPT, SYSTEM, REPLY, ADDRESS, NETWORK, USER, TLS]
    words = [word for text in (PROMPT, SYSTEM, REPLY) for word in text.split() if len(word) > 7]
    hidden = [each.encode() for each in (*told, *words)] + [SECRET, SECRET.hex().encode(), base64.b64encode(SECRET)]
    hidden += [each.lower() for each in hidden]
    with opened(tmp_path / "w0") as log:
        log_a_call(log, begun, settled)
        data = [open_segments(tmp_path / "w0")[0].read_bytes()]
    for segment in sealed_segments(tmp_path / "w0"):
        for table in SCHEMAS:  # also what compression would hide
            data.append(json.dumps(pq.read_table(segment.table(table)).to_pylist(), default=str).encode())
    data += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(data) >= 8
    for each in hidden:
        assert not any(each in whole for whole in data), each
    assert any(b"2026q4" in whole for whole in data), "the rows are in there"
