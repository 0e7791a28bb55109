from __future__ import annotations

import torch

from stillroom.train.peak_memory import peak_bytes


def test_what_was_used_stays_the_most_when_it_is_given_back() -> None:
    before = peak_bytes(torch.device("cpu"))
    assert before > 50_000_000  # an interpreter with torch: bytes, not kilobytes
    used = torch.ones(before // 4 + 75_000_000)  # float32: more than has been in use so far
    after = peak_bytes(torch.device("cpu"))
    del used
    assert after >= before + 200_000_000
    assert peak_bytes(torch.device("cpu")) >= after
