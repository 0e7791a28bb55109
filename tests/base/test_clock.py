from __future__ import annotations

import asyncio

from stillroom.base.clock import SystemClock


def test_time_goes_on() -> None:
    clock = SystemClock()
    before_us, before_s = clock.now_us(), clock.monotonic()
    asyncio.run(clock.sleep(0.001))
    assert clock.monotonic() > before_s
    assert before_us > 1_700_000_000_000_000  # microseconds since 1970, not seconds
