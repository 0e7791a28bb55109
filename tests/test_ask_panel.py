"""The panel of the asking stage, over a clock of the test's."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from stillroom.ask.passes import facts_of
from stillroom.ask.settings import AskSettings
from stillroom.ask_panel import AskView, RecentRates, question_text
from stillroom.client.engine import EngineCounts
from stillroom.panel import bar_of, clock
from stillroom.store.journal import Spent

PAGE = (Path(__file__).parents[1] / "docs" / "ask.md").read_text(encoding="utf-8")


def messages(text: object) -> bytes:
    return json.dumps([{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]).encode()


def facts(replies: int, **more: Any) -> dict[str, Any]:
    return {"replies": replies, "completion_tokens": 330 * replies, **more}


def view(seconds: int = 40, per_s: int = 30, total: int | None = 4000, **more: Any) -> AskView:
    """Of a run that has gone on evenly for so long."""
    shown = AskView()
    for now in range(seconds + 1):
        shown.see(now, now * per_s, total, facts(now * per_s, **more))
    return shown


def drawn(shown: AskView, width: int, **console: Any) -> list[str]:
    screen = Console(file=io.StringIO(), width=width, **console)
    screen.print(shown.panel(width))
    assert isinstance(screen.file, io.StringIO)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]


EXAMPLE: dict[str, Any] = {
    "in_flight": 96,
    "cost_usd": Decimal("1.80"),
    "spent_usd": Decimal("1.92"),
    "budget_usd": Decimal(25),
    "pace": "100 in flight: growing; 12 in flight: learned from refusals",
    "failures": {"http_429": 12, "connection": 3},
    "latest": (
        messages("A robe takes 2 bolts of blue fiber and half that much white fiber. How many bolts in total?"),
        "It takes 2 / 2 = 1 bolt of white fiber.\n\nSo the total is 2 + 1 = 3 bolts.",
    ),
}


def test_the_page_shows_the_panel_and_the_line() -> None:
    shown = view(**EXAMPLE)
    assert "\n".join(drawn(shown, 80)) in PAGE
    assert f"\nask: {shown.line()}\n" in PAGE


@pytest.mark.parametrize("width", [10, 24, 40, 50, 60, 80, 100, 250])
def test_every_line_fits_the_terminal(width: int) -> None:
    latest = (messages("Wie groß ist 你好世界 " * 30), "答" * 500)
    lines = drawn(view(**EXAMPLE | {"latest": latest}), max(width, 24))
    assert all(cell_len(line) <= max(24, min(width - 2, 100)) for line in lines)
    text = "".join(line[8:].strip() for line in lines).replace(" ", "")
    for figure in ("1,200of4,000", "1:33left", "30repliesasecond", "9,900tokensasecond", "1.92of25USD", "429refused12"):
        assert figure in text
    assert sum(line.startswith(("question", "answer")) for line in lines) == 2


def test_without_colours_the_bar_can_still_be_read() -> None:
    assert "ask       ━━━━━━━─────────────────" in drawn(view(**EXAMPLE), 80, no_color=True)[0]
    assert [str(bar_of(done, total, 8)) for done, total in ((0, 9), (8, 9), (9, 9), (0, 0))] == [
        "────────",
        "━━━━━━━─",
        "━━━━━━━━",
        "────────",
    ]


def test_a_reply_can_neither_write_on_the_terminal_nor_be_markup() -> None:
    latest = (messages("\x1b]0;mine\x07[red]What?[/red]\r\n"), "\x9b2J[link=http://x]here[/link] :smile: \ud800")
    lines = drawn(view(latest=latest), 80, force_terminal=True, color_system="truecolor")
    assert any("␛]0;mine␇[red]What?[/red]" in line for line in lines)
    assert any("�2J[link=http://x]here[/link] :smile: �" in line for line in lines)


def test_the_latest_reply_stays_long_enough_to_be_read() -> None:
    shown = AskView()
    seen = []
    for frame in range(41):
        shown.see(frame / 8, frame, 99, facts(frame, latest=(messages("?"), f"answer {frame}.")))
        seen.append(drawn(shown, 80)[-1].split()[-1])
    assert set(seen) == {"0.", "16.", "32."}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("What?", "What?"),
        ([{"type": "text", "text": "What?"}, {"type": "image_url", "image_url": {"url": "x"}}], "What? [image_url]"),
        (["What?"], "What?"),
        (None, "None"),
    ],
)
def test_the_question_is_what_the_user_said(content: object, text: str) -> None:
    assert question_text(messages(content)) == text
    assert question_text(b'[{"role":"system"}]') == ""


# Speed


def test_rates_are_of_the_last_half_minute() -> None:
    rates = RecentRates(0.0, 0, 0)
    for now in range(601):
        rates.see(now, now * 10, now * 1000)
    assert rates.per_s(600, 6000, 600_000) == (10, 1000)
    for now in range(601, 640):
        rates.see(now, 6000 + (now - 600) * 100, 600_000 + (now - 600))
    assert rates.per_s(639, 9900, 600_039) == (100, 1)


def test_rates_of_slow_replies_look_further_back() -> None:
    rates = RecentRates(0.0, 0, 0)
    for now in range(3601):
        rates.see(now, now // 60, now // 60 * 5000)
    found = rates.per_s(3600, 60, 300_000)
    assert found == pytest.approx((1 / 60, 5000 / 60), rel=0.1)


def test_a_run_that_stands_still_says_so_and_promises_nothing() -> None:
    shown = view(in_flight=7)
    shown.see(55.0, 1200, 4000, facts(1200, in_flight=7))
    assert "7 in flight, the last reply came 0:15 ago" in shown.line()
    assert "ago" not in view(in_flight=7).line()
    shown.see(4000.0, 1200, 4000, facts(1200, in_flight=7))
    assert "1,200 of 4,000, 4 days" not in shown.line()
    assert "0.00" in shown.line()


def test_nothing_is_said_of_speed_before_there_is_any() -> None:
    shown = AskView()
    shown.see(100.0, 0, 9, {})
    assert shown.line() == "0 of 9"
    shown.see(100.5, 3, 9, facts(3))
    assert shown.line() == "3 of 9"


def test_replies_of_earlier_runs_are_no_speed() -> None:
    shown = AskView()
    shown.see(0.0, 3000, 4000, facts(0))
    shown.see(10.0, 3100, 4000, facts(100))
    assert shown.line().startswith("3,100 of 4,000, 1:30 left, 10 replies a second")


def test_at_the_end_the_speed_is_that_of_the_whole() -> None:
    shown = view(total=1200, pace="128 in flight: growing")
    shown.see(100.0, 1200, 1200, facts(1200))
    assert shown.line() == "1,200 of 1,200, 30 replies a second, 9,900 tokens a second"


def test_another_pass_begins_anew() -> None:
    shown = view(total=1200)
    for now in range(50, 61):
        shown.see(now, (now - 50) * 2, None, facts((now - 50) * 2))
    assert shown.line() == "20, 2.0 replies a second, 660 tokens a second"
    assert drawn(shown, 80)[0] == "ask       20"


def test_asking_on_until_enough_is_right_is_at_most_so_many() -> None:
    shown = view(total_is_most=True, spent_usd=Decimal("1.2"), cost_usd=Decimal("1.2"))
    assert shown.line().startswith("1,200 of at most 4,000, at most 1:33 left")
    assert shown.line().endswith("spent 1.20 USD, about 4.00 at most for the whole")


# Money


def test_a_budget_that_will_not_do_is_flagged() -> None:
    enough: dict[str, Any] = {"spent_usd": Decimal("1.3"), "cost_usd": Decimal("1.2"), "budget_usd": Decimal(5)}
    assert "1.30 of 5 USD, about 4.10 for the whole" in view(**enough).line()
    assert "limit" not in view(**enough).line()
    too_little = enough | {"budget_usd": Decimal(4)}
    assert "1.30 of 4 USD, about 4.10 for the whole: more than the limit" in view(**too_little).line()


def test_a_few_replies_say_nothing_of_the_whole() -> None:
    spent: dict[str, Any] = {"spent_usd": Decimal("0.0033"), "cost_usd": Decimal("0.0033")}
    assert "0.0033 USD" in view(seconds=19, per_s=1, **spent).line()
    assert "whole" not in view(seconds=19, per_s=1, **spent).line()
    assert "whole" in view(seconds=20, per_s=1, **spent).line()


def test_limits_of_calls_and_tokens_stand_where_they_are_set() -> None:
    counts = EngineCounts(calls=1300, prompt_tokens=20_000, completion_tokens=396_000, in_flight=4)
    counts.by_status.update(ok=1200)
    settings = AskSettings(max_calls=5000, max_total_tokens=1_000_000)
    before = Spent(100, Decimal(0), 50_000, 0, Decimal(0))
    shown = AskView()
    shown.see(0.0, 0, 4000, {})
    shown.see(40.0, 1200, 4000, facts_of(counts, settings, before))
    assert "1,404 of 5,000 calls, about 4,437 for the whole" in shown.line()
    assert "466,000 of 1,000,000 tokens, about 1,436,667 for the whole: more than the limit" in shown.line()
    assert sum(line.startswith("spent") for line in drawn(shown, 100)) == 2
    shown.see(40.0, 1200, 4000, facts_of(counts, AskSettings(), None))
    assert "spent" not in "".join(drawn(shown, 100))


def test_facts_are_a_copy_of_what_changes() -> None:
    counts = EngineCounts()
    seen = facts_of(counts, AskSettings(), None)
    counts.failures["http_429"] += 1
    assert seen["failures"] == {}


# Pace


def test_each_address_has_its_pace() -> None:
    lines = drawn(view(pace="9 in flight: growing; waits 12 s: Retry-After"), 80)
    assert [line for line in lines if line.startswith("pace")] == [
        "pace      9 in flight: growing",
        "pace      waits 12 s: Retry-After",
    ]


@pytest.mark.parametrize(("seconds", "words"), [(0.4, "0:00"), (61, "1:01"), (3725, "1:02:05")])
def test_time_left(seconds: float, words: str) -> None:
    assert clock(seconds) == words
