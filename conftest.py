"""A test that does not run proves nothing: a skip or an expected failure fails, unless it stands in ALLOWED."""

from __future__ import annotations

import os
import signal
from collections.abc import Generator

import pytest

# The models of the tests are so small that a second thread costs more than it brings: while a neighbour is busy, the
# two wait for each other at every operation. Set before torch is imported; processes that tests start inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell ignores Ctrl-C in what it starts in the background, and so would everything that a test starts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
# The same for nohup and a terminal that is closed.
if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

ALLOWED: dict[str, str] = {
    "tests/report/test_rows_page.py::test_the_filters_in_a_browser": "one with Chromium",
    "tests/report/test_rows_page.py::test_hostile_replies_in_a_browser": "one with Chromium",
    "tests/watch/review/test_in_browser.py::test_every_chart_is_drawn": "one with Chromium",
}
"""Node id of a test that may be skipped -> the machine it needs, in words."""


def _fail_if_skipped(report: pytest.TestReport | pytest.CollectReport) -> None:
    if report.skipped and report.nodeid not in ALLOWED:
        reason = report.longrepr[-1] if isinstance(report.longrepr, tuple) else report.longrepr
        report.outcome = "failed"
        report.longrepr = f"{report.nodeid} did not run, and is not in the list of conftest.py: {reason}"


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    _fail_if_skipped(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    _fail_if_skipped(report)
    return report
