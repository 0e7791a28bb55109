"""A marked model's server answers a gateway alone: without a key it would have to answer unmarked."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from stillroom.serve.mark_header import MARK_HEADER, mark_header, read_mark
from stillroom.serve.routes.errors import ApiError
from stillroom.serve.settings import ModelSettings, UpstreamSettings, WatermarkSettings

WATERMARK = WatermarkSettings(strength=3)


def test_the_key_comes_through() -> None:
    mark = read_mark(mark_header(bytes(range(16))), WATERMARK)
    assert mark is not None
    assert (mark.key, mark.share, mark.strength) == (bytes(range(16)), 0.25, 3)


@pytest.mark.parametrize("value", [None, "", "00", "no hex", "00" * 17])
def test_without_a_key_there_is_no_reply(value: str | None) -> None:
    with pytest.raises(ApiError) as refused:
        read_mark({} if value is None else {MARK_HEADER: value}, WATERMARK)
    assert refused.value.status == 403


def test_a_model_without_a_watermark_is_not_marked() -> None:
    assert read_mark(mark_header(bytes(16)), None) is None


def test_only_a_model_in_a_folder_is_marked(tmp_path: Path) -> None:
    assert ModelSettings(name="m", folder=tmp_path, watermark=WATERMARK).watermark == WATERMARK
    with pytest.raises(ValidationError, match="only a folder's replies can be marked"):
        ModelSettings(name="m", upstreams=(UpstreamSettings(base_url="http://host/v1"),), watermark=WATERMARK)
