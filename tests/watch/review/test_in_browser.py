"""The charts as a browser draws them, under the page's own policy."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stillroom.base.records import Finding
from stillroom.watch.review.charts import activity_chart, coverage_chart, order_chart, overlap_chart, score_chart
from stillroom.watch.review.rendering import written_findings
from stillroom.watch.review.store import FindingStore


def in_browser(page: Path) -> str:
    """The page as it stands when its scripts have run."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if chromium is None:
        pytest.skip("there is no Chromium")
    words = [chromium, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={page.parent / 'browser'}"]
    words += ["--virtual-time-budget=5000", "--dump-dom", page.as_uri()]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=True).stdout


def test_every_chart_is_drawn(
    store: FindingStore, make_finding: Callable[..., Finding], clock: Any, tmp_path: Path
) -> None:
    accounts = make_finding().accounts
    shards = np.arange(410)
    charts = (
        coverage_chart(accounts, shards % 41, shards, 500, "gsm8k"),
        overlap_chart(41, shards % 41, shards, 500, "gsm8k"),
        activity_chart(accounts, shards % 41, 100 + shards % 7, shards % 24, np.ones(410, np.int64), (100, 107)),
        order_chart(shards, shards * 1_000_000, 500, "gsm8k"),
        score_chart([(1_000_000, 3.0), (2_000_000, 4.0)], threshold=3.5),
    )
    store.put(make_finding(), charts)
    page = tmp_path / "findings.html"
    page.write_text(written_findings(store, clock.now_us()))
    drawn = in_browser(page)
    svgs = re.findall(r"<svg[^>]*marks.*?</svg>", drawn, re.DOTALL)
    assert len(svgs) == len(charts)
    marks = [len(re.findall(r'aria-roledescription="(?:rect mark|bar|tick|point|rule mark)"', svg)) for svg in svgs]
    rows = [len(chart["data"]["values"]) for chart in charts]
    # Beside a mark for each row: the line of what was not asked, what chance would give, and the threshold.
    assert marks == [rows[0] + 1, 2 * rows[1], rows[2], rows[3], rows[4] + 1]
    assert not re.search(r"NaN|Infinity|undefined", "".join(svgs))
