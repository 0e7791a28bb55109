from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.client.rate_headers import NO_RATE_HEADERS, Allowance, RateHeaders, read_rate_headers, read_retry_after

NOON_US = 1_767_268_800_000_000  # Thu, 01 Jan 2026 12:00:00 GMT
NOON_S = NOON_US // 1_000_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 12 ", 12.0),
        ("1.5", 1.5),
        ("Thu, 01 Jan 2026 12:01:00 GMT", 60.0),
        ("Thu, 01 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("-3", None),
        ("", None),
        ("1e5", None),
        ("Thu, 99 Jan 2026 12:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert read_retry_after(value, NOON_US) == seconds


@pytest.mark.parametrize(
    ("reset", "seconds"),
    [
        ("6m0s", 360.0),
        ("1s", 1.0),
        ("20ms", 0.02),
        ("1m30.5s", 90.5),
        ("1h0m1s", 3601.0),
        ("2d", 172_800.0),
        ("30", 30.0),
        ("0.25", 0.25),
        ("2026-01-01T12:00:30Z", 30.0),
        ("2026-01-01T13:00:30+01:00", 30.0),
        ("2026-01-01T11:00:00Z", 0.0),
        (str(NOON_S + 45), 45.0),
        (str(NOON_S * 1000 + 1500), 1.5),
        ("tomorrow", None),
        ("6m0", None),
        ("", None),
    ],
)
def test_a_reset_is_a_duration_or_a_date(reset: str, seconds: float | None) -> None:
    headers = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-reset-requests": reset}
    requests = read_rate_headers(headers, NOON_US).requests
    assert requests is not None
    assert requests.reset_s == pytest.approx(seconds)


def test_openai() -> None:
    headers = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-limit-tokens": "150000",
        "x-ratelimit-remaining-requests": "59",
        "x-ratelimit-remaining-tokens": "149984",
        "x-ratelimit-reset-requests": "1s",
        "x-ratelimit-reset-tokens": "6m0s",
        "retry-after-ms": "1250",
        "retry-after": "2",
    }
    assert read_rate_headers(headers, NOON_US) == RateHeaders(
        1.25, Allowance(60, 59, 1.0), Allowance(150_000, 149_984, 360.0)
    )


def test_anthropic_of_several_kinds_of_tokens_the_scarcest() -> None:
    headers = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "0",
        "anthropic-ratelimit-requests-reset": "2026-01-01T12:00:12Z",
        "anthropic-ratelimit-input-tokens-limit": "40000",
        "anthropic-ratelimit-input-tokens-remaining": "39000",
        "anthropic-ratelimit-input-tokens-reset": "2026-01-01T12:00:01Z",
        "anthropic-ratelimit-output-tokens-limit": "8000",
        "anthropic-ratelimit-output-tokens-remaining": "100",
        "anthropic-ratelimit-output-tokens-reset": "2026-01-01T12:00:59Z",
    }
    assert read_rate_headers(headers, NOON_US) == RateHeaders(None, Allowance(50, 0, 12.0), Allowance(8000, 100, 59.0))


@pytest.mark.parametrize(
    "headers",
    [
        {"ratelimit-limit": "100", "ratelimit-remaining": "50", "ratelimit-reset": "30"},
        {"x-ratelimit-limit": "100", "x-ratelimit-remaining": "50", "x-ratelimit-reset": "30"},
        {"ratelimit": "limit=100, remaining=50, reset=30"},
    ],
)
def test_gateways(headers: dict[str, str]) -> None:
    assert read_rate_headers(headers, NOON_US) == RateHeaders(None, Allowance(100, 50, 30.0), None)


def test_the_latest_draft() -> None:
    headers = {"ratelimit": '"default";r=50;t=30', "ratelimit-policy": '"default";q=100;w=60'}
    assert read_rate_headers(headers, NOON_US).requests == Allowance(None, 50, 30.0)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "application/json", "date": "Thu, 01 Jan 2026 12:00:00 GMT"},
        {"x-ratelimit-remaining-requests": "many", "retry-after": "soon"},
        {"x-ratelimit-limit-requests": "60"},
        {"x-ratelimit-reset-images": "1s", "x-ratelimit-remaining-images": "2"},
    ],
)
def test_headers_that_say_nothing(headers: dict[str, str]) -> None:
    assert read_rate_headers(headers, NOON_US) == NO_RATE_HEADERS


NAMES = st.sampled_from(
    [
        "retry-after",
        "retry-after-ms",
        "ratelimit",
        "x-ratelimit-",
        "x-ratelimit-remaining-requests",
        "x-ratelimit-reset-requests",
        "anthropic-ratelimit-tokens-remaining",
        "anthropic-ratelimit-tokens-reset",
    ]
)
VALUES = st.one_of(st.text(max_size=30), st.from_regex(r"[0-9dhms.:TZ+-]{0,25}", fullmatch=True), st.dates().map(str))


@given(st.dictionaries(NAMES, VALUES))
def test_no_headers_raise(headers: dict[str, str]) -> None:
    read = read_rate_headers(headers, NOON_US)
    for seconds in (read.retry_after_s, *(a.reset_s for a in (read.requests, read.tokens) if a is not None)):
        assert seconds is None or 0 <= seconds < float("inf")
