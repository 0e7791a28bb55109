from __future__ import annotations

import pytest

from stillroom.testing.traffic import Traffic, benign


@pytest.fixture(scope="session")
def customers() -> Traffic:
    """Ordinary ones alone."""
    return benign(3, organisations=900, calls_per_organisation=60, twins=())


@pytest.fixture(scope="session")
def twins() -> Traffic:
    """Few ordinary customers, and all twins."""
    return benign(4, organisations=60, calls_per_organisation=30)
