"""What a stage did, in sentences for a person. `--json` prints the same figures as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any

from stillroom.panel import clock
from stillroom.text.counted import counted, listed

_REPLIES = {
    "ok": ("is whole", "are whole"),
    "truncated": ("was cut by the token limit", "were cut by the token limit"),
    "refused": ("was refused", "were refused"),
    "empty": ("is empty", "are empty"),
    "failed": ("failed", "failed"),
}
"""What is said of so many replies of each status."""


def asked_in_words(facts: Mapping[str, Any]) -> str:
    """What `pipeline.ask` returned."""
    return "\n".join([_replies(facts), *_tokens(facts), _calls(facts), *_receipts(facts), *_who_answered(facts)])


def _replies(facts: Mapping[str, Any]) -> str:
    replies, samples = facts["replies"], facts["samples"]
    up_to = "" if replies == facts["asked"] * samples else "up to "
    each = "" if samples == 1 else f", {up_to}{samples:,} samples each"
    words = f"{counted(facts['asked'], 'question')}{each}: {counted(replies, 'reply', 'replies')}"
    by_status: dict[str, int] = facts["by_status"]
    known = {status: _REPLIES.get(status, (status, status)) for status in {**_REPLIES, **by_status}}
    if len(by_status) == 1:
        one, many = known[next(iter(by_status))]
        words += f", which {one}." if replies == 1 else f", all of which {many}."
    else:
        parts = [counted(by_status[status], *said) for status, said in known.items() if by_status.get(status)]
        words += f", of which {listed(parts)}." if parts else "."
    if facts["shared"]:
        words += f" {counted(facts['shared'], 'reply serves', 'replies serve')} a second question with the same text."
    return words


def _tokens(facts: Mapping[str, Any]) -> Iterator[str]:
    prompt, completion = facts["prompt_tokens"], facts["completion_tokens"]
    if prompt is None or completion is None:
        return
    of_them = [
        f"{facts[key]:,} of the {part} were {what}"
        for key, part, what in (
            ("cached_tokens", "prompt", "read from a cache"),
            ("reasoning_tokens", "completion", "reasoning"),
        )
        if facts[key]
    ]
    more = f"; {listed(of_them)}" if of_them else ""
    yield f"They took {counted(prompt, 'prompt token')} and {counted(completion, 'completion token')}{more}."


def _calls(facts: Mapping[str, Any]) -> str:
    """Of all runs of this folder: what they came to, and what nobody knows."""
    words = f"{counted(facts['calls'], 'call was', 'calls were')} made, earlier runs included"
    if facts["cost_usd"] is not None:
        words += f", for {facts['cost_usd']} USD"
        price = "the recipe" if facts["price_id"].startswith("recipe:") else facts["price_id"]
        words += f" (by the price of {price})"
    unknown = facts["unknown_calls"]
    if unknown:
        words += f"; the outcome of {unknown:,} is unknown"
        reserved = Decimal(facts["unknown_usd"] or 0)
        words += f", which counts as {facts['unknown_usd']} USD more: {facts['spent_usd']} in all" if reserved else ""
    return f"{words}."


def _receipts(facts: Mapping[str, Any]) -> Iterator[str]:
    """Nothing where no owner is known to sign: most teachers send no receipts."""
    # What an earlier version wrote says nothing of them.
    signed, permits = facts.get("with_receipt", 0), facts.get("permits", [])
    if not (signed or permits):
        return
    words = f"{counted(signed, 'reply carries', 'replies carry')} a receipt of the model's owner"
    yield f"{words}{f', asked for under permit {listed(permits)}' if permits else ''}."


def _who_answered(facts: Mapping[str, Any]) -> Iterator[str]:
    names = [name for name in facts["served_models"] if name != facts["teacher"]]
    if names:
        yield f"The server named its model {listed(names)}; {facts['teacher']} was asked."


def checked_in_words(facts: Mapping[str, Any]) -> str:
    """What `pipeline.check` returned."""
    rejected: dict[str, int] = facts["rejected"]
    total = sum(rejected.values())
    words = f"{counted(facts['rows'], 'reply was', 'replies were')} judged: {facts['kept']:,} kept, {total:,} rejected"
    ordered = sorted(rejected.items(), key=lambda item: (-item[1], item[0]))
    reasons = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in ordered)
    return f"{words} ({reasons})." if reasons else f"{words}."


def trained_in_words(method: str, facts: Mapping[str, Any]) -> str:
    """What `pipeline.train` returned for one method."""
    what = {"sft": "the reasoning and the answers", "answers_only": "the answers alone"}.get(method, method)
    lines = [
        f"{facts['student']} ({facts['parameters']:,} parameters) was trained on {what} of"
        f" {counted(facts['traces'], 'trace')}: {counted(facts['steps'], 'step')} in"
        f" {counted(facts['epochs'], 'epoch')}, {clock(facts['seconds'])}."
    ]
    skipped: dict[str, int] = facts["skipped"]
    if skipped:
        reasons = ", ".join(f"{reason.replace('_', ' ')} {number:,}" for reason, number in skipped.items())
        lines.append(f"{counted(sum(skipped.values()), 'trace was', 'traces were')} left out ({reasons}).")
    return "\n".join(lines)


def swept_in_words(facts: Mapping[str, Any]) -> str:
    """What `pipeline.sweep` returned: a table, the rate to take, and how sure that is."""
    rows: list[Mapping[str, Any]] = facts["rates"]
    took = sum(row["seconds"] or 0 for row in rows)
    share = f"{counted(facts['traces'], 'trace')} ({facts['share']:.0%} of the questions)"
    lines = [f"Each rate was tried on {share}; {clock(took)} in all.", *_rates_table(rows)]
    best = next((row for row in rows if row["learning_rate"] == facts["best"]), None)
    if best is None:
        return "\n".join(
            [*lines, "Training diverged at every rate. Set a much lower train.learning_rate, and try again."]
        )
    lines.append(
        f"The best is {best['learning_rate']:g}. In the recipe, below train: learning_rate: {best['learning_rate']:g}"
    )
    lines += _how_sure(facts, best)
    return "\n".join(lines)


def _rates_table(rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    yield f"{'rate':>9}  {'steps':>5}  {'loss':>7}  {'held-out loss':>13}  {'right':>22}  {'seconds':>7}"
    for row in rows:
        if row["problem"] is not None:
            yield f"{row['learning_rate']:>9g}  {row['problem']}"
            continue
        right = "-"
        if row["asked"]:
            right = f"{row['right']} of {row['asked']} ({row['low']:.0%} to {row['high']:.0%})"
        yield (
            f"{row['learning_rate']:>9g}  {row['steps']:>5}  {row['loss']:>7.3f}  {row['held_out_loss']:>13.3f}"
            f"  {right:>22}  {row['seconds']:>7.0f}"
        )


def _how_sure(facts: Mapping[str, Any], best: Mapping[str, Any]) -> Iterator[str]:
    end = facts["at_the_end"]
    if end is not None:
        further = best["learning_rate"] * (4 if end == "highest" else 0.25)
        again = f"--set train.learning_rate={further:.3g}"
        yield f"It is the {end} that was tried: one beyond it may be better still. {again} tries those around there."
    as_good = [f"{rate:g}" for rate in facts["as_good"]]
    if as_good:
        be = "is" if len(as_good) == 1 else "are"
        yield (
            f"{listed(as_good)} {be} as good as far as {counted(best['asked'], 'question')} can tell: the intervals of "
            "their right answers meet."
        )
    if not best["asked"]:
        yield "No held-out answer can be verified: the loss decided, and what another seed would change is not known."
    else:
        yield "Every rate was tried with one seed."


def estimate_in_words(facts: Mapping[str, Any]) -> str:
    """What `pipeline.estimate` returned."""
    fewest, most = facts["samples"]
    times = f"{fewest}" if fewest == most else f"{fewest} to {most}"
    spent = f" {facts['spent_usd']} USD are spent." if facts["cost_usd"] is not None else ""
    asked = counted(facts["asked"], "question was", "questions were")
    lines = [f"{asked} asked, and the replies are kept.{spent}"]
    if not facts["left"]:
        return f"{lines[0]} Nothing is left to ask."
    each = "sample" if times == "1" else "samples"
    lines[0] += f" {counted(facts['left'], 'is', 'are')} left, {times} {each} each."
    lines += [*_cost_of_the_rest(facts), *_time_of_the_rest(facts)]
    if facts["completion_tokens"] is not None:
        cut = f"; {counted(facts['truncated'], 'was', 'were')} cut by the limit" if facts["truncated"] else ""
        lines.append(f"A reply has {facts['completion_tokens']:,.0f} tokens on average{cut}.")
    return "\n".join(lines)


def _cost_of_the_rest(facts: Mapping[str, Any]) -> Iterator[str]:
    cost = facts["cost_usd"]
    if cost is None:
        return
    yield f"The rest will cost about {cost['expected']} USD ({cost['low']} to {cost['high']})."
    if cost["at_most"] is not None:
        yield f"Were every reply as long as max_tokens: {cost['at_most']} USD."
    if facts["budget_usd"] is not None:
        free = Decimal(facts["budget_usd"]) - Decimal(facts["spent_usd"])
        fits = "which is enough" if Decimal(cost["high"]) <= free else "which may not be enough: the run would stop"
        yield f"The budget leaves {free.normalize():f} USD, {fits}."


def _time_of_the_rest(facts: Mapping[str, Any]) -> Iterator[str]:
    seconds = facts["seconds"]
    if seconds["low"] is not None:
        low, high = (clock(seconds[end] + 1) for end in ("low", "high"))
        yield f"It will take {low} to {high}, if the teacher keeps up."
