"""Small logs of calls in the gateway's layout, and one Spark for all tests that want it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.watch.call_log import Customers, ordinary_customers

from stillroom.watch.engine import Engine, open_engine


@pytest.fixture(scope="session")
def customers() -> Customers:
    return ordinary_customers()


@pytest.fixture
def duck(tmp_path: Path) -> Iterator[Engine]:
    with open_engine("duckdb", tmp_path / "scratch", memory_mb=500) as engine:
        yield engine


@pytest.fixture(scope="session")
def spark_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from stillroom.watch.spark_engine import local_session

    with pytest.MonkeyPatch.context() as patch:
        # For small tables: most of the time goes into compiling what is run once.
        patch.setenv("JDK_JAVA_OPTIONS", "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC")
        session = local_session(tmp_path_factory.mktemp("spark"), memory_mb=1000)
    yield session
    session.stop()


@pytest.fixture
def spark(tmp_path: Path, spark_session: Any) -> Iterator[Engine]:
    with open_engine("spark", tmp_path / "scratch", session=spark_session) as engine:
        yield engine
