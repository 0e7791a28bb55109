"""The training on the page: its charts, its figures, its warnings, and files of other versions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from stillroom.base.errors import StoreError
from stillroom.exam.statistics import share
from stillroom.report.page import summarise, write_report
from stillroom.report.training_charts import held_out_chart, loss_chart, rate_chart, thinned
from stillroom.report.training_figures import figures, right_share, running_mean
from stillroom.report.training_file import Mark, Step, Trained

SFT = "train/sft/train.json"
MARKS = [[160, 20, 90, 1.4, 9], [320, 61, 90, 0.9, 2], [480, 79, 90, 0.7, 0], [640, 77, 90, 0.8, 0]]


def training(**values: Any) -> Trained:
    return Trained.model_validate({"method": "sft", **values})


def held_out(marks: list[Any], best_step: int, *, stopped_early: bool = False) -> dict[str, Any]:
    return {"questions": 90, "curve": marks, "best_step": best_step, "stopped_early": stopped_early}


def change(folder: Path, **values: Any) -> None:
    path = folder / SFT
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def warnings(folder: Path) -> list[str]:
    return [warning.replace("\N{NO-BREAK SPACE}", " ") for warning in summarise(folder)["warnings"]]


# The file


def test_a_training_of_an_earlier_version_is_read(sound: Path, read_page: Any) -> None:
    page = read_page(write_report(sound))
    assert {row[0] for row in page.rows} >= {"traces", "steps", "trained tokens", "last loss", "highest learning rate"}
    assert not {row[0] for row in page.rows} & {"memory at most", "share of the machine’s matrix rate", "rows left out"}
    assert "chart-held-out" not in [attributes.get("data-chart") for attributes in page.tags("div")]


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"curve": [[1, 2.0]]}, "curve.0.2: Field required"),
        ({"curve": [[1, 2.0, 1e-4, 900.0, 5]]}, "curve.0: NamedTuple should have at most 4 items"),
        ({"curve": [["one", 2.0, 1e-4]]}, "curve.0.0: "),
        ({"held_out": {"questions": 9}}, "held_out.curve: Field required"),
        ({"held_out": held_out([[1, 5, 4, 0.1]], 1)}, "more answers than the 4 that were asked for at step 1"),
        ({"held_out": held_out([[1, 3, 4, 0.1, 5]], 1)}, "more answers than the 4 that were asked for at step 1"),
        ({"held_out": held_out([[1, -1, 4, 0.1]], 1)}, "held_out.curve.0.1: "),
        ({"matrix_share": -0.5}, "matrix_share: "),
        ({"matrix_share": float("nan")}, "matrix_share: "),
        ({"peak_bytes": "much"}, "peak_bytes: "),
        ({"seconds": float("inf")}, "seconds: "),
        ({"curve": [[1, 2.0, float("nan")]]}, "curve.0.2: "),
        ({"rows": -1}, "rows: "),
        ({"skipped": {"too_long": "all"}}, "skipped.too_long: "),
    ],
)
def test_a_damaged_file_is_named_with_the_place(sound: Path, values: dict[str, Any], where: str) -> None:
    change(sound, **values)
    with pytest.raises(StoreError) as caught:
        write_report(sound)
    assert str(sound / SFT) in caught.value.what
    assert where in caught.value.what
    assert caught.value.remedy


# The charts


def test_a_curve_is_thinned_to_means_and_what_is_not_finite_stays_a_gap() -> None:
    assert thinned([(1, 2.0), (2, 1.0)], 300) == [(1, 2.0), (2, 1.0)]
    assert thinned([(1, 2.0), (2, 1.0), (3, 5.0)], 2) == [(2, 1.5), (3, 5.0)]
    assert thinned([(1, float("nan")), (2, 1.0)], 2) == [(1, None), (2, 1.0)]
    assert len(thinned([(step, 1.0) for step in range(10_001)])) <= 300


def test_the_running_mean_is_that_of_the_steps_before_it() -> None:
    seven = [Step(number, float(number), 1e-3) for number in range(1, 8)]
    assert [running_mean(seven, position) for position in range(7)] == [1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0]
    many = [Step(number, float(number), 1e-3) for number in range(1, 401)]
    assert running_mean(many, 399) == 395.5  # of ten


def test_nothing_is_drawn_of_a_training_without_a_curve() -> None:
    assert loss_chart({"sft": training()}) is None
    assert rate_chart({"sft": training()}) is None
    assert held_out_chart({"sft": training(held_out=None)}) is None
    unverified = held_out([[4, 0, 0, 1.5]], 4)
    assert held_out_chart({"sft": training(held_out=unverified)}) is None


def test_a_loss_that_is_no_number_is_a_gap_in_both_lines() -> None:
    chart = loss_chart({"sft": training(curve=[[step, math.inf if step == 9 else 1.0, 1e-3] for step in range(1, 21)])})
    assert chart is not None
    rows = {row["step"]: row for row in chart["data"]["values"]}
    assert rows[8] == {"method": "reasoning and answer", "step": 8, "loss": 1.0, "mean": 1.0}
    assert rows[9]["loss"] is None
    assert [step for step, row in rows.items() if row["mean"] is None] == [9, 10, 11, 12, 13]
    json.dumps(chart, allow_nan=False)


def test_the_charts_hold_what_the_file_says(sound: Path, read_page: Any) -> None:
    change(sound, held_out=held_out(MARKS, 480))
    page = read_page(write_report(sound))
    file = json.loads((sound / SFT).read_text())
    loss = page.chart("loss")
    assert sum(row["method"] == "reasoning and answer" for row in loss["data"]["values"]) == 214  # 640 steps by threes
    last = [row for row in loss["data"]["values"] if row["method"] == "reasoning and answer"][-1]
    assert last["step"] == 640
    assert last["loss"] == file["curve"][-1][1]
    points = loss["layer"][2]["data"]["values"]
    assert [(row["step"], row["held_out"]) for row in points] == [(mark[0], mark[3]) for mark in MARKS]
    rates = [row for row in page.chart("learning-rate")["data"]["values"] if row["method"] == "reasoning and answer"]
    assert rates[-1]["rate"] == file["curve"][-1][2]

    drawn = page.chart("held-out")["data"]["values"]
    assert [(row["step"], row["said"]) for row in drawn] == [(mark[0], f"{mark[1]} of 90") for mark in MARKS]
    assert [row["step"] for row in drawn if row["best"]] == [480]
    assert all(row["low"] <= row["right"] <= row["high"] for row in drawn)
    assert "kept: step 480, 79 of 90" in page.chart("held-out")["description"]
    axes = [page.chart(name)["encoding"]["x"] for name in ("loss", "held-out", "learning-rate")]
    assert axes[0] == axes[1] == axes[2]
    assert axes[0]["scale"]["domain"][1] >= 640


@pytest.mark.parametrize(("right", "asked"), [(0, 1), (1, 1), (0, 90), (81, 90), (90, 90)])
def test_intervals_are_those_of_the_examination(right: int, asked: int) -> None:
    found, there = right_share(Mark(1, right, asked)), share(right, asked)
    assert (found.accuracy, found.n) == (there.accuracy, asked)
    assert (found.low, found.high) == pytest.approx((there.low, there.high))
    assert found.low <= found.accuracy <= found.high


# The figures


def test_the_table_says_what_a_training_came_to() -> None:
    full = training(
        student="smollm2",
        parameters=134_515_008,
        lora={"rank": 32, "alpha": 32.0, "trained_parameters": 4_884_480},
        traces=900,
        rows=950,
        skipped={"too_long": 50},
        steps=480,
        planned_steps=640,
        epochs=3,
        trained_tokens=1_104_302,
        tokens_per_second=720.4,
        matrix_rate_gflops=98.4,
        matrix_share=0.713,
        peak_bytes=1_130_000_000,
        predicted_bytes=1_390_000_000,
        gradient_checkpointing=True,
        packed=True,
        seconds=153.3,
        learning_rate=1e-4,
        seed=7,
        threads=2,
        processes=1,
        curve=[[step, 2.0 - step / 480, 1e-4, 700.0] for step in range(1, 481)],
        held_out=held_out(MARKS[:3], 320, stopped_early=True),
    )
    rows = {row.name: row.cells[0] for row in figures({"sft": full})}
    said = {name: f"{cell.said} | {cell.note}".replace("\N{NO-BREAK SPACE}", " ") for name, cell in rows.items()}
    assert said == {
        "student": "smollm2 | 134,515,008 parameters",
        "weights that were trained": "LoRA | 4,884,480 of them, rank 32, alpha 32",
        "traces": "900 | ",
        "rows": "950 | packed",
        "rows left out": "50 of 1,000 | 5.0 %: too long 50",
        "epochs": "3 | ",
        "steps": "480 | stopped early, 640 were planned",
        "held-out questions right, best": "61 of 90 | 57.6 to 76.5 %, step 320",
        "held-out questions right, at the end": "79 of 90 | 79.4 to 93.0 %, step 480",
        "last loss": "1.0000 | running mean 1.0115",
        "trained tokens": "1,104,302 | ",
        "trained tokens per second": "720.4 | ",
        "share of the machine’s matrix rate": "71.3 % | of 98.4 GFLOP/s",
        "memory at most": "1.1 GB | 1.4 GB predicted, gradient checkpointing",
        "time": "2 min 33 s | ",
        "highest learning rate": "0.0001 | ",
        "seed": "7 | threads 2, processes 1",
    }


def test_a_row_stands_where_one_of_the_trainings_has_it() -> None:
    rows = {row.name: row.cells for row in figures({"sft": training(steps=4), "answers_only": training(traces=9)})}
    assert {name: [cell.said for cell in cells] for name, cells in rows.items()} == {
        "traces": ["–", "9"],
        "steps": ["4", "–"],
    }
    assert figures({"sft": training()}) == []


# The warnings


def curve(*losses: float, steps: int = 640) -> list[list[float]]:
    """So many parts of equal length, each with its loss."""
    return [[step + 1, losses[step * len(losses) // steps], 2e-3] for step in range(steps)]


FALLS = curve(2.0, 1.5, 1.0, 0.8, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def test_rows_that_were_too_long_to_train_on(sound: Path) -> None:
    change(sound, traces=950, skipped={"too_long": 50})
    assert warnings(sound) == []
    change(sound, traces=950, skipped={"too_long": 51})
    assert warnings(sound) == [
        "51 of 1,001 traces (5.1 %) are longer than train.max_tokens, or than the student can read, and were not "
        "trained on (sft). Raise train.max_tokens, or keep shorter replies (check.max_tokens)."
    ]
    change(sound, rows=99, skipped={"too_long": 51})
    assert warnings(sound)[0].startswith("51 of 150 rows (34.0 %) are longer")


def test_a_loss_that_rises_towards_the_end(sound: Path) -> None:
    change(sound, curve=curve(2.0, 1.0, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.47))
    assert warnings(sound) == []
    change(sound, curve=curve(2.0, 1.0, 0.5, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4, 0.49), learning_rate=2e-3)
    assert warnings(sound) == [
        "The loss of the training (sft) rose towards its end: 0.490 over the last tenth of its steps, 0.400 over its "
        "best tenth. Lower train.learning_rate: 0.001, say, in place of 0.002."
    ]
    change(sound, curve=curve(0.5, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01, 0.05))  # next to nothing, both
    assert warnings(sound) == []
    change(sound, curve=curve(1.0, 9.0, steps=49))
    assert warnings(sound) == []


def test_a_loss_that_is_no_number(sound: Path) -> None:
    change(sound, curve=curve(2.0, 1.0, float("nan"), 1.0, steps=100), learning_rate=None)
    assert warnings(sound) == [
        "From step 51 on, the loss of the training (sft) is no number: it has diverged. Lower train.learning_rate."
    ]
    assert write_report(sound).exists()


def test_rows_that_were_learned_by_heart(sound: Path) -> None:
    change(sound, curve=FALLS, epochs=3, held_out=held_out([[320, 79, 90, 0.7], [640, 60, 90, 0.9]], 320))
    assert warnings(sound) == [
        "While the loss fell from 0.600 to 0.100, the held-out questions answered right went from 79 of 90 at step 320 "
        "to 60 at step 640 (sft): the student learned its rows by heart. Step 320 was kept; train fewer epochs than 3, "
        "or on more questions."
    ]
    change(sound, held_out=held_out([[320, 79, 90, 0.7], [640, 74, 90, 0.9]], 320))  # by chance, maybe
    assert warnings(sound) == []
    change(sound, curve=FALLS[::-1], held_out=held_out([[320, 79, 90, 0.7], [640, 60, 90, 0.9]], 320))
    assert not any("by heart" in warning for warning in warnings(sound))


def test_a_student_that_was_still_becoming_better(sound: Path) -> None:
    rising = [[320, 61, 90, 0.7], [500, 66, 90, 0.7], [640, 70, 90, 0.6]]
    change(sound, curve=FALLS, epochs=3, held_out=held_out(rising, 640))
    assert warnings(sound) == [
        "The held-out questions answered right were still becoming more at the last step: 70 of 90, 61 at step 320 "
        "(sft). Training longer may do better: more epochs than 3."
    ]
    for marks, best in (
        ([[320, 61, 90, 0.7], [640, 68, 90, 0.6]], 640),  # by chance, maybe
        ([[320, 61, 90, 0.7], [640, 90, 90, 0.6]], 640),  # all of them
        ([[640, 64, 90, 0.6]], 640),  # nothing to compare with
        ([[600, 10, 90, 0.7], [640, 70, 90, 0.6]], 640),
    ):
        change(sound, held_out=held_out(marks, best))
        assert warnings(sound) == []
    change(sound, held_out=held_out(rising, 640, stopped_early=True))
    assert warnings(sound) == []


def test_nothing_held_out(sound: Path) -> None:
    change(sound, held_out=None)
    assert warnings(sound) == [
        "No question was held out, so that the student (sft) is its last checkpoint, the best one or not. Set "
        "check.held_out: 0.05, say: the checkpoint with the most right answers is kept then."
    ]
    check = json.loads((sound / "check.json").read_text())
    (sound / "check.json").write_text(
        json.dumps(check | {"held_out": 90})
    )  # held out, and the training told to ask none
    assert warnings(sound) == []


def test_held_out_answers_that_nobody_can_verify(sound: Path) -> None:
    change(sound, held_out=held_out([[320, 0, 0, 0.7], [640, 0, 0, 0.6]], 640))
    assert warnings(sound) == [
        "None of the held-out answers can be verified (sft): the checkpoint with the lowest loss on them was kept. "
        "Give the questions a kind that can be verified."
    ]


def test_held_out_answers_that_were_cut(sound: Path) -> None:
    change(sound, held_out=held_out([[320, 60, 90, 0.7, 9], [640, 59, 90, 0.6, 0]], 320))
    assert warnings(sound) == [
        "9 of 90 answers to held-out questions were cut by the limit of tokens at the best step (sft), and count as "
        "wrong. Raise train.held_out.max_tokens."
    ]
    change(sound, held_out=held_out([[320, 60, 90, 0.7, 8], [640, 59, 90, 0.6, 0]], 320))
    assert warnings(sound) == []
