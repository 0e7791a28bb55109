"""The panel of a training, over a clock of the test's."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from stillroom.train_panel import TrainView, sparkline

PAGE = (Path(__file__).parents[1] / "docs" / "train.md").read_text(encoding="utf-8")


def facts(step: int, **more: Any) -> dict[str, Any]:
    return {
        "loss": 0.3 + 2.7 * 0.99**step,
        "learning_rate": 0.002 * (1 - step / 1500),
        "tokens_per_second": 5769,
        **more,
    }


def view(steps: int = 300, per_s: int = 4, total: int | None = 1171, **more: Any) -> TrainView:
    """Of a training that has gone on evenly, looked at four times a second."""
    shown = TrainView("train sft")
    for step in range(steps + 1):
        told = facts(step, **more)
        if step:
            shown.hear(step, told)
        shown.see(step / per_s, step, total, told)
    return shown


def drawn(shown: TrainView, width: int = 80, **console: Any) -> list[str]:
    screen = Console(file=io.StringIO(), width=width, **console)
    screen.print(shown.panel(width))
    assert isinstance(screen.file, io.StringIO)
    return [line.rstrip() for line in screen.file.getvalue().splitlines()]


EXAMPLE: dict[str, Any] = {"matrix_share": 0.71, "peak_bytes": 1_130_000_000, "held_out": "79 of 90 at step 293"}
EXAMPLE["held_out_best"] = "81 of 90 at step 200"


def example() -> TrainView:
    return view(**EXAMPLE)


def test_the_page_shows_the_panel_and_the_line() -> None:
    assert "\n".join(drawn(example())) in PAGE
    assert f"\ntrain sft: {example().line()}\n" in PAGE


@pytest.mark.parametrize("width", [10, 24, 40, 59, 60, 80, 100, 250])
def test_every_line_fits_the_terminal(width: int) -> None:
    lines = drawn(example(), max(width, 24))
    assert all(cell_len(line) <= max(24, min(width - 2, 100)) for line in lines)
    text = "".join(line[8:].strip() for line in lines).replace(" ", "")
    for figure in (
        "300of1,171",
        "3:37left",
        "1:15gone",
        "learningrate0.0016",
        "5,769trained",
        "71%",
        "79of90",
        "1.1GB",
    ):
        assert figure in text


def test_the_loss_is_the_mean_of_the_last_steps_and_its_drawing_falls_with_it() -> None:
    shown = TrainView("train answers_only")
    for step in range(1, 101):
        shown.hear(step, {"loss": 9.0 if step <= 80 else 1.0 + step % 2})
    shown.see(1.0, 100, 100, {})
    lines = drawn(shown)
    assert lines[0].startswith("train     ━━━━━━━━━━━━━━━━━━━━━━━━ answers only: 100 of 100")
    assert lines[1] == "loss      ███████████████████▃▁▁▁▁ 1.500"
    assert shown.words() == "loss 1.500"


def test_a_line_compares_the_loss_with_that_of_earlier_steps() -> None:
    shown = TrainView("train sft")
    for step in range(1, 121):
        shown.hear(step, {"loss": 2.0 if step <= 20 else 1.0})
    assert shown.words() == "loss 1.000 (2.000 100 steps before)"


def test_a_drawing_has_no_more_blocks_than_there_are_values() -> None:
    assert sparkline([3.0, 1.0, 2.0], 24) == "█▁▅"
    assert sparkline([2.0] * 99, 8) == "▁" * 8
    assert len(sparkline([float(value) for value in range(1000)], 24)) == 24


def test_what_is_told_twice_of_a_step_counts_once() -> None:
    shown = TrainView("train sft")
    for step, loss in ((1, 4.0), (2, 2.0), (2, 2.0), (2, 2.0)):
        shown.hear(step, {"loss": loss})
    assert shown.words() == "loss 3.000"


def test_a_loss_that_is_no_number_draws_nothing() -> None:
    shown = TrainView("train sft")
    for step, loss in ((1, 4.0), (2, float("nan")), (3, float("inf")), (4, 2.0)):
        shown.hear(step, {"loss": loss})
    assert shown.words() == "loss 3.000"
    assert drawn(shown)[1] == "loss      █▁ 3.000"


# Time


def test_nothing_is_said_of_time_before_there_is_any() -> None:
    shown = TrainView("train sft")
    shown.see(100.0, 0, 9, {})
    assert shown.line() == "0 of 9"
    shown.see(100.4, 1, 9, {})
    assert shown.line() == "1 of 9, 0:03 left"


def test_steps_of_earlier_processes_are_no_speed() -> None:
    shown = TrainView("train sft")
    shown.see(0.0, 900, 1000, {})
    shown.see(10.0, 910, 1000, {})
    assert shown.line() == "910 of 1,000, 1:30 left, 0:10 gone"


def test_time_goes_on_in_a_long_step_and_is_never_less_than_none() -> None:
    shown = TrainView("train sft")
    for now, step in ((0.0, 0), (60.0, 1), (100.0, 1)):
        shown.see(now, step, 3, {})
    assert shown.line() == "1 of 3, 1:20 left, 1:40 gone"
    shown.see(600.0, 1, 3, {})
    assert shown.line() == "1 of 3, 0:00 left, 10:00 gone"


def test_the_end_has_nothing_left() -> None:
    assert view(steps=1171).line().startswith("1,171 of 1,171, 4:52 gone, loss 0.300")


def test_another_training_of_that_name_begins_anew() -> None:
    shown = view(held_out="81 of 90 at step 200")
    shown.hear(1, facts(1, loss=7.0))
    shown.see(80.0, 1, 1171, facts(1, held_out="3 of 90 at step 1"))
    assert shown.line().startswith("1 of 1,171, loss 7.000, learning rate")
    assert "held out: 3 of 90 right at step 1, the best so far" not in view(held_out="81 of 90 at step 200").line()
    shown.hear(2, facts(2, held_out="3 of 90 at step 1"))
    assert shown.line().endswith("held out: 3 of 90 right at step 1, the best so far")


# Held out


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (("5 of 90 at step 10",), "5 of 90 right at step 10, the best so far"),
        (("5 of 90 at step 10", "80 of 90 at step 20"), "80 of 90 right at step 20, the best so far"),
        (("80 of 90 at step 10", "9 of 90 at step 20"), "9 of 90 right at step 20, the best 80 of 90 at step 10"),
        (("80 of 90 at step 10", "80 of 90 at step 20"), "80 of 90 right at step 20, the best so far"),
        (
            ("1,080 of 2,000 at step 10", "900 of 2,000 at step 20"),
            "900 of 2,000 right at step 20, the best 1,080 of 2,000",
        ),
    ],
)
def test_the_best_and_the_latest_of_the_held_out_questions(told: tuple[str, ...], words: str) -> None:
    shown = TrainView("train sft")
    for step, held_out in enumerate(told):
        shown.hear(step, {"held_out": held_out})
        shown.see(float(step), step, 9, {"held_out": held_out})
    assert f"held out: {words}" in shown.line()
    assert any(line.startswith(f"held out  {words}"[:78]) for line in drawn(shown, 102))


def test_the_best_of_an_earlier_process_is_told() -> None:
    shown = TrainView("train sft")
    told = {"held_out": "80 of 90 at step 40", "held_out_best": "85 of 90 at step 20"}
    shown.hear(41, told)
    shown.see(0.0, 41, 99, told)
    assert shown.line() == "41 of 99, held out: 80 of 90 right at step 40, the best 85 of 90 at step 20"


def test_what_is_not_known_is_left_out() -> None:
    shown = view(steps=4, matrix_share=None, held_out=None, held_out_best=None, peak_bytes=None)
    assert shown.words() == "loss 2.933, learning rate 0.002, 5,769 trained tokens a second"
    assert [line.split()[0] for line in drawn(shown)] == ["train", "loss", "speed"]
