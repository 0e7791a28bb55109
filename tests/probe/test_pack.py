"""What whoever asks can rely on before it asks: the plan of a pack stands in a log that somebody signed."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from tests.probe.probes import make_probe, planned

from stillroom.base.errors import DataError, StoreError
from stillroom.probe.pack import KEYS, LOG, read_pack
from stillroom.probe.plan_log import read_log, write_log
from stillroom.probe.signer import own_signer


@pytest.fixture
def pack(tmp_path: Path) -> Path:
    probe = make_probe(tmp_path / "probe", 20)
    planned(probe, "earlier", number=8)
    return planned(probe, "first", number=8).pack


def test_a_pack_is_read(pack: Path) -> None:
    assert (read_pack(pack).plan.name, len(read_pack(pack).pairs)) == ("first", 8)


@pytest.mark.parametrize("kept", [0, 1])
def test_a_plan_that_no_log_has_is_not_asked_for(pack: Path, kept: int) -> None:
    """It could be dropped, when its answers are known, without anybody's seeing that it was ever made."""
    write_log(pack / LOG, read_log(pack / LOG)[:kept])
    with pytest.raises(DataError, match="never recorded"):
        read_pack(pack)
    (pack / LOG).unlink()
    with pytest.raises(DataError, match="never recorded"):
        read_pack(pack)


def test_a_log_that_nobody_signed(pack: Path, tmp_path: Path) -> None:
    (pack / KEYS).write_bytes(orjson.dumps(own_signer(tmp_path / "elsewhere").keys))
    with pytest.raises(DataError, match="Record 0 of the log"):
        read_pack(pack)


def test_a_log_that_never_ends_is_not_read(pack: Path) -> None:
    (pack / LOG).unlink()
    (pack / LOG).symlink_to("/dev/zero")
    with pytest.raises(StoreError, match="is no file"):
        read_pack(pack)
