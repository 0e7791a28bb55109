"""What a person should know before trusting a student, from how its training went."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from stillroom.report.training_figures import right_share
from stillroom.report.training_file import HeldOut, Mark, Step, Trained
from stillroom.report.words import count, counted, percent, short

LEFT_OUT = 0.05
"""From this share of rows that training leaves out on, it is worth a word."""
PARTS, FEWEST_STEPS = 10, 50
"""A loss is compared by the means of so many parts of the training, where there are enough steps."""
RISEN, LEAST_RISE = 1.2, 0.05
"""A loss has risen that is so many times its lowest part, and above it by so many nats per token."""
LAST_STRETCH = 0.75
"""Where the last part of a training begins, as a share of its steps: what it still gained says whether to go on."""
CUT = 0.1
"""From this share of held-out answers that were cut on, the limit decides more than the student."""


def warnings_of_training(training: Trained, *, none_held_out: bool) -> Iterator[str]:
    """One or two sentences each. `none_held_out`: whether the check has put no question aside."""
    yield from _left_out(training)
    yield from _no_number(training)
    yield from _rose(training)
    if training.held_out is not None:
        yield from _held_out(training, training.held_out)
    elif none_held_out and "held_out" in training.model_fields_set:  # an earlier version's file says nothing of it
        yield (
            f"No question was held out, so that the student ({_name(training)}) is its last checkpoint, the best one "
            "or not. Set check.held_out: 0.05, say: the checkpoint with the most right answers is kept then."
        )


def _name(training: Trained) -> str:
    return short(training.method)


def _left_out(training: Trained) -> Iterator[str]:
    too_long = training.skipped.get("too_long", 0)
    one, trained = ("trace", training.traces) if training.rows is None else ("row", training.rows)
    together = too_long + (trained or 0)
    if too_long and too_long > LEFT_OUT * together:
        yield (
            f"{count(too_long)} of {counted(together, one, f'{one}s')} ({percent(too_long / together)}) are longer "
            f"than train.max_tokens, or than the student can read, and were not trained on ({_name(training)}). Raise "
            "train.max_tokens, or keep shorter replies (check.max_tokens)."
        )


def _no_number(training: Trained) -> Iterator[str]:
    lost = next((step for step in training.curve if not math.isfinite(step.loss)), None)
    if lost is not None:
        yield (
            f"From step {count(lost.number)} on, the loss of the training ({_name(training)}) is no number: it has "
            f"diverged. {_lower(training)}"
        )


def _rose(training: Trained) -> Iterator[str]:
    means = _part_means(training.curve)
    if not means:
        return
    *earlier, last = means
    lowest = min(earlier)
    if last > RISEN * lowest and last - lowest > LEAST_RISE:  # false where one of them is no number
        yield (
            f"The loss of the training ({_name(training)}) rose towards its end: {last:.3f} over the last tenth of its "
            f"steps, {lowest:.3f} over its best tenth. {_lower(training)}"
        )


def _part_means(curve: Sequence[Step]) -> list[float]:
    """The mean loss of each tenth of the steps; nothing where there are too few steps to compare."""
    if len(curve) < FEWEST_STEPS:
        return []
    edges = [len(curve) * part // PARTS for part in range(PARTS + 1)]
    return [sum(step.loss for step in curve[start:stop]) / (stop - start) for start, stop in pairwise(edges)]


def _lower(training: Trained) -> str:
    if training.learning_rate is None:
        return "Lower train.learning_rate."
    return (
        f"Lower train.learning_rate: {training.learning_rate / 2:.2g}, say, in place of {training.learning_rate:.2g}."
    )


def _held_out(training: Trained, held_out: HeldOut) -> Iterator[str]:
    best = held_out.best
    if best is None:
        return
    last = held_out.curve[-1]
    if not last.asked:
        yield (
            f"None of the held-out answers can be verified ({_name(training)}): the checkpoint with the lowest loss on "
            "them was kept. Give the questions a kind that can be verified."
        )
        return
    yield from _fell(training, best, last)
    yield from _still_rising(training, held_out)
    if best.cut and best.cut >= CUT * best.asked:
        yield (
            f"{_of(best.cut, best.asked)} answers to held-out questions were cut by the limit of tokens at the best "
            f"step ({_name(training)}), and count as wrong. Raise train.held_out.max_tokens."
        )


def _fell(training: Trained, best: Mark, last: Mark) -> Iterator[str]:
    """Fewer right answers at the end than chance explains, while the loss fell."""
    if best.asked != last.asked or right_share(last).high >= best.right / best.asked:
        return
    at_best, at_end = _loss_at(training.curve, best.step), _loss_at(training.curve, last.step)
    if at_best is None or at_end is None or at_end >= at_best:
        return
    yield (
        f"While the loss fell from {at_best:.3f} to {at_end:.3f}, the held-out questions answered right went from "
        f"{count(best.right)} of {count(best.asked)} at step {count(best.step)} to {count(last.right)} at step "
        f"{count(last.step)} ({_name(training)}): the student learned its rows by heart. Step {count(best.step)} was "
        f"kept; train fewer epochs{_in_place_of(training)}, or on more questions."
    )


def _loss_at(curve: Sequence[Step], number: int) -> float | None:
    """The mean loss of a tenth of all steps, up to this one; None where nothing is known or something is no number."""
    losses = [step.loss for step in curve if step.number <= number][-max(1, len(curve) // PARTS) :]
    mean = sum(losses) / len(losses) if losses else math.nan
    return mean if math.isfinite(mean) else None


def _still_rising(training: Trained, held_out: HeldOut) -> Iterator[str]:
    """More right answers at the end than chance explains, beside those when three quarters were done."""
    *earlier, last = held_out.curve
    before = next((mark for mark in reversed(earlier) if mark.step <= LAST_STRETCH * last.step), None)
    if before is None or not before.asked or held_out.best != last or held_out.stopped_early:
        return
    if right_share(before).high < last.right / last.asked < 1:
        yield (
            "The held-out questions answered right were still becoming more at the last step: "
            f"{_of(last.right, last.asked)}, {count(before.right)} at step {count(before.step)} ({_name(training)}). "
            f"Training longer may do better: more epochs{_in_place_of(training)}."
        )


def _in_place_of(training: Trained) -> str:
    return "" if training.epochs is None else f" than {count(training.epochs)}"


def _of(part: int, whole: int) -> str:
    return f"{count(part)} of {count(whole)}"
