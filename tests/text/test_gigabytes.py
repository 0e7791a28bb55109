from __future__ import annotations

import pytest

from stillroom.text.gigabytes import gigabytes


@pytest.mark.parametrize(
    ("number", "words"),
    [(0, "0.00 GB"), (421e6, "0.42 GB"), (999e6, "1.0 GB"), (9.94e9, "9.9 GB"), (9.96e9, "10 GB"), (80e9, "80 GB")],
)
def test_memory_in_words(number: float, words: str) -> None:
    assert gigabytes(number) == words
