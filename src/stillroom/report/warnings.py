"""What a person should know before trusting a run's figures, each with what to do about it."""

from __future__ import annotations

from collections.abc import Iterator

from stillroom.report.run_files import Checked, Examined, Judged, RunFiles
from stillroom.report.training_warnings import warnings_of_training
from stillroom.report.words import count, counted, in_order, percent, reason, short, taker_name

MOSTLY_REJECTED = 0.8
"""From this share of rejected replies on, something is wrong with the questions, the teacher or the settings."""
FEW_TRACES = 100
"""With fewer traces than this, a student learns little."""
UNREADABLE = 0.1
"""From this share of a judge's replies that hold no verdict on, something is wrong with its model or its limits."""
CALLED_RIGHT = 0.2
"""A judge that calls this share of the wrong answers right puts more of them into the data set than is good."""

SELECTED_AWAY = ("too_easy", "too_hard", "not_selected", "long_share", "source_share", "mix_weight")
"""Good replies that the recipe did not want so many of: no fault of theirs."""

REMEDIES = {
    "failed": "Run the recipe again: calls that failed are tried again.",
    "refused": "Word the questions differently, or ask another teacher.",
    "empty": "Raise ask.max_tokens if the reasoning uses all of it, or ask another teacher.",
    "truncated": "Raise ask.max_tokens: only the replies that were cut are asked for again.",
    "no_reasoning": "Turn the teacher's thinking on (teacher.extra_body), or leave check.require_reasoning off.",
    "summary_reasoning": "Ask a teacher that shows its reasoning, or set check.accept_summaries.",
    "broken_think_block": "Look at the teacher's chat template, or ask another teacher.",
    "not_a_conversation": "Look at the file's columns: a row needs a question and a reply to it.",
    "answer_in_reasoning": "Raise ask.max_tokens, or have the questions say that the answer follows the reasoning.",
    "empty_answer": "Raise ask.max_tokens if the reasoning uses all of it, or ask another teacher.",
    "refused_in_words": "Word the questions differently, or put refused_in_words into check.ignore if it is mistaken.",
    "too_long": "Raise check.max_tokens as far as the student can hold, or ask for shorter reasoning.",
    "repetition": "Raise ask.temperature a little, ask another teacher, or put repetition into check.ignore.",
    "mixed_scripts": "Have the questions say which language to answer in, or put mixed_scripts into check.ignore.",
    "wrong_language": "Have the questions say which language to answer in, or set check.language.",
    "duplicate_question": "The sources hold questions twice: leave one out, or set check.overlap.duplicates: keep.",
    "near_duplicate_question": "overlap.parquet shows the pairs; check.overlap.near_duplicates: keep lets them stay.",
    "contaminated": "overlap.parquet shows both texts of each: take other questions, or overrule what is mistaken.",
    "wrong": "Either the teacher cannot do these questions, or their answers or kinds are not what they ask for.",
    "unsure": "Give the questions the kind that fits their answers, or have them say how to mark the final answer.",
    "unverifiable": "Give the questions a kind that can be verified, or kind: none to keep every reply.",
    "duplicate": "Raise ask.temperature, or ask for fewer samples.",
}


def warnings_of(run: RunFiles) -> list[str]:
    """One or two sentences each; none for a run of which nothing needs to be said."""
    none_held_out = run.checked is not None and not run.checked.held_out
    return [
        *warnings_of_check(run),
        *(
            warning
            for training in run.trained.values()
            for warning in warnings_of_training(training, none_held_out=none_held_out)
        ),
        *(warnings_of_exam(run.examined) if run.examined else ()),
    ]


def warnings_of_exam(examined: Examined) -> list[str]:
    return [*_failed(examined), *_cut(examined)]


def warnings_of_check(run: RunFiles) -> list[str]:
    """Those that are known once the replies are checked: before anything is trained on them."""
    if run.checked is None:
        return []
    return [
        *_rejected(run.checked, run.name),
        *(_misjudged(run.checked.judge) if run.checked.judge else ()),
        *((*_few_traces(run.checked), *_misnamed(run)) if run.has("train") else ()),
    ]


def _rejected(checked: Checked, run: str) -> Iterator[str]:
    reasons = {name: number for name, number in checked.rejected.items() if name not in SELECTED_AWAY and number}
    rejected = sum(reasons.values())
    if rejected and rejected >= MOSTLY_REJECTED * checked.rows:
        main = max(reasons, key=lambda name: reasons[name])
        yield (
            f"{_of(rejected, checked.rows, 'reply', 'replies')} were rejected, most of them as {reason(main)} "
            f"({count(reasons[main])}). {REMEDIES.get(main, '')} `stillroom look {short(run)}` shows some."
        )


def _misjudged(judge: Judged) -> Iterator[str]:
    measured = judge.measured.values()
    replies, unreadable = (sum(getattr(way, name) for way in measured) for name in ("replies", "unreadable"))
    if unreadable and unreadable >= UNREADABLE * replies:
        yield (
            f"{_of(unreadable, replies, 'reply', 'replies')} of the judge {short(judge.model)} held no verdict that "
            "can be read: it has to reply with a JSON object. Raise check.judge.max_tokens, or take another model."
        )
    for way in measured:
        wrong = way.called_right
        if wrong.count and wrong.count >= CALLED_RIGHT * wrong.n:
            yield (
                f"The judge {short(judge.model)} called {_of(wrong.count, wrong.n, 'answer', 'answers')} right that "
                "are known to be wrong. Change check.judge.rubric, or take another model."
            )


def _few_traces(checked: Checked) -> Iterator[str]:
    if checked.kept < FEW_TRACES:
        yield (
            f"Only {counted(checked.kept, 'trace', 'traces')} to train on: a student learns little from so few. "
            "Ask more questions, or more samples of each (ask.samples)."
        )


def _misnamed(run: RunFiles) -> Iterator[str]:
    for terms, asked in run.granted.conditions() if run.granted else ():
        for unmet in asked.unmet_by(run.name):
            yield (
                f"Under {terms}, the name of the student {unmet}. Give it away under such a name (stillroom export "
                f"--name), or call the recipe so."
            )


def _failed(examined: Examined) -> Iterator[str]:
    failed = {name: taker.failed for name, taker in examined.takers.items() if taker.failed}
    if failed:
        who = ", ".join(f"{short(taker_name(name))} {count(failed[name])}" for name in in_order(list(failed)))
        yield f"Calls of the examination failed and count as not right ({who}). Run the recipe again."


def _cut(examined: Examined) -> Iterator[str]:
    cut = {name: taker.truncated_share for name, taker in examined.takers.items() if taker.truncated_share}
    if cut:
        who = ", ".join(f"{short(taker_name(name))} {percent(cut[name])}" for name in in_order(list(cut)))
        limit = None if examined.sets else examined.max_tokens  # a set may have a limit of its own
        known, larger = (f" ({limit})", f": --set exam.max_tokens={2 * limit}") if limit else ("", "")
        yield f"Replies cut by exam.max_tokens{known} count as wrong ({who}). Raise it{larger}."


def _of(part: int, whole: int, one: str, many: str) -> str:
    return f"{count(part)} of {counted(whole, one, many)} ({percent(part / whole)})"
