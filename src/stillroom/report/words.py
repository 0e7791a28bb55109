"""Numbers and findings in words, the same on the page and in the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from stillroom.report.run_files import Comparison, Ship
from stillroom.text.counted import listed

TAKERS = {
    "teacher": "teacher",
    "student": "student",
    "answers_only": "answers only",
    "base": "base",
}
"""The takers that stillroom itself names, in the order in which a report lists them."""

TAKERS_EXPLAINED = {
    "teacher": "the model that was asked",
    "student": "trained on the reasoning and the answers",
    "answers_only": "the same model, trained on the answers alone",
    "base": "the same model, before training",
}

SPACE = "\N{NO-BREAK SPACE}"
TESTS = {"mcnemar": "McNemar’s exact test", "sign_flip": "sign-flip test over questions", "welch": "Welch’s t-test"}
"""What a comparison's test is called."""
P_SHOWN = 0.05
"""Below this p-value a difference is called shown."""


NOT_BETTER = {
    "not_better": "The student is not shown to be better than its base.",
    "lost": "The student is not called better than its base: it lost on {}.",
    "undecided": "Whether the student is better than its base is undecided.",
}
"""What a headline adds about the student for each verdict but the good one."""
OUTCOMES = {
    "gained": "gained",
    "kept": "kept",
    "lost": "lost",
    "not_shown": "not shown",
    "calls_failed": "calls failed",
}
"""What became of a set of questions, between base and student."""


def taker_name(taker: str) -> str:
    return TAKERS.get(taker, taker)


def in_order(takers: list[str]) -> list[str]:
    """The named takers first, in the report's order, then the others as they came."""
    return [name for name in TAKERS if name in takers] + [name for name in takers if name not in TAKERS]


def percent(share: float | None) -> str:
    """0.8725 as `87.2 %`; unknown as a dash."""
    return "–" if share is None else f"{100 * share:.1f}{SPACE}%"


def interval(low: float, high: float) -> str:
    return f"{100 * low:.1f} to {100 * high:.1f}{SPACE}%"


def points(share: float) -> str:
    """A difference of shares, in percentage points, with its sign."""
    return f"{_signed(share)}{SPACE}points"


def points_between(difference: float, low: float, high: float) -> str:
    """A difference of shares with its interval."""
    return f"{points(difference)} ({_signed(low)} to {_signed(high)})"


def count(number: float | None) -> str:
    """1234567 as `1,234,567`; a fraction is kept to one decimal; unknown as a dash."""
    if number is None:
        return "–"
    return f"{number:,.0f}" if float(number).is_integer() else f"{number:,.1f}"


def counted(number: int, one: str, many: str) -> str:
    return f"{count(number)} {one if number == 1 else many}"


def money(usd: str | None, price_id: str | None) -> str:
    """The decimal string as the ledger has it: never rounded, and never zero where no price is known."""
    if usd is not None:
        return f"${usd}"
    return "price: none" if price_id is None else "not known"


def reason(name: str) -> str:
    """The name of a reason for rejection, `broken_think_block`, in words."""
    return short(name.replace("_", " "))


def duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f}{SPACE}s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}{SPACE}h {minutes}{SPACE}min"
    return f"{minutes}{SPACE}min {rest}{SPACE}s"


def latency(seconds: float | None) -> str:
    """The time of one reply: below a second in milliseconds."""
    return f"{1000 * seconds:,.0f}{SPACE}ms" if seconds is not None and seconds < 1 else duration(seconds)


def is_taker(value: Any) -> bool:
    """Whether a value of a summary is a taker's accuracy."""
    return isinstance(value, dict) and {"accuracy", "low", "high", "n"} <= value.keys()


def headline(summary: dict[str, Any]) -> str:
    """The result in one short sentence: the student against its teacher where both were examined.

    What the recipe does not have is not spoken of.
    """
    takers = in_order([key for key, value in summary.items() if is_taker(value)])
    if takers:
        pair = [taker for taker in ("student", "teacher") if taker in takers] if "student" in takers else takers[:2]
        first, *others = pair
        said = f"{_subject(first, takers)} answers {percent(summary[first]['accuracy'])} right"
        also = "".join(f", {_subject(other, takers)} {percent(summary[other]['accuracy'])}" for other in others)
        return " ".join([_sentence(f"{said}{also}.", first), *not_better(summary["ship"])])
    if summary["kept"] is not None:
        kept = f"{counted(summary['kept'], 'reply', 'replies')} kept"
        return f"{kept}, not {_waiting(summary)} yet." if _waiting(summary) else f"{kept}."
    if summary["asked"] is not None:
        return f"{counted(summary['asked'], 'question', 'questions')} asked, not checked yet."
    return "Nothing has been asked yet."


def not_better(ship: Mapping[str, Any] | None) -> Iterator[str]:
    """What has to stand beside the student's accuracy, so that nobody takes it for better than it is."""
    if ship is not None and ship["verdict"] in NOT_BETTER:
        lost = [short(each["name"] or "its task", 40) for each in ship["sets"] if each["outcome"] == "lost"]
        yield NOT_BETTER[ship["verdict"]].format(listed(lost or ["a set"]))


def _waiting(summary: dict[str, Any]) -> str | None:
    """What the recipe has next for the traces: `trained on`, `examined` or nothing more."""
    stages = summary["stages"] or ()
    if "train" in stages and not any(stage.startswith("train/") for stage in summary["seconds"]):
        return "trained on"
    return "examined" if "exam" in stages else None


def _subject(taker: str, takers: Sequence[str]) -> str:
    """A taker as a sentence speaks of it, beside the other takers that there are."""
    beside_a_student = "student" in takers
    said = {
        "student": "the student",
        "teacher": "its teacher" if beside_a_student else "the teacher",
        "base": "the base model it was trained from" if beside_a_student else "the base model",
        "answers_only": f"the {'same ' if beside_a_student else ''}base trained on the answers alone",
    }
    return said.get(taker) or short(taker)


def _capital(sentence: str) -> str:
    return sentence[0].upper() + sentence[1:]


def _sentence(sentence: str, taker: str) -> str:
    """A sentence that begins with a taker: a model that has a name of its own is called as it is called."""
    return _capital(sentence) if taker in TAKERS else sentence


def result_sentence(summary: dict[str, Any]) -> str | None:
    """The whole result in one sentence, every accuracy with its 95 % interval; None without an examination."""
    present = [taker for taker in ("student", "teacher", "base", "answers_only") if taker in summary]
    if not present:
        return None
    first = summary[present[0]]
    parts = []
    for taker in present:
        part = f"{_subject(taker, present)} answers " if taker == present[0] else f"{_subject(taker, present)} "
        same_n = "" if taker != present[0] else f" of {counted(first['n'], 'question', 'questions')} right"
        row = summary[taker]
        parts.append(f"{part}{percent(row['accuracy'])}{same_n} ({interval(row['low'], row['high'])})")
    text = ", ".join(parts[:-1]) + (" and " if len(parts) > 1 else "") + parts[-1]
    return _capital(text) + "."


@dataclass(frozen=True, slots=True)
class Finding:
    """A paired comparison, said for a person."""

    verdict: str
    difference: str
    meaning: str


def compare_names(a: str, b: str) -> str:
    return f"{short(taker_name(a))} against {short(taker_name(b))}"


def compare(comparison: Comparison, ship: Ship | None = None) -> Finding:
    """The finding, told from the side of the one that did better.

    A student of which `ship` does not say that it is better than its base is not called so here either.
    """
    better, worse = comparison.a, comparison.b
    difference, low, high = comparison.difference, comparison.low, comparison.high
    if difference < 0:
        better, worse, difference, low, high = worse, better, -difference, -high, -low
    a, b = short(taker_name(better)), short(taker_name(worse))
    shown = comparison.p_value < P_SHOWN
    said = f"{a} does better than {b}"
    if (better, worse) == ("student", "base") and ship is not None and ship.verdict != "better":
        said = f"{a} has more right than {b}, and is not called better"
    return Finding(
        verdict=_sentence(said, better) if shown else f"No difference shown between {a} and {b}",
        difference=points_between(difference, low, high),
        meaning=(
            f"If the two were equally good, a split at least this uneven would come up {chance(comparison.p_value)} "
            f"({TESTS.get(comparison.test, comparison.test)}, {p_value(comparison.p_value)})."
        ),
    )


def _signed(share: float) -> str:
    return f"{100 * share:+.1f}".replace("-", "\N{MINUS SIGN}")


def chance(p: float) -> str:
    """A probability as a person would say it."""
    if p < 1e-6:
        return "less than once in a million times"
    if p < 0.1:
        return f"about once in {count(round(1 / p))} times"
    return f"about {round(100 * p)} times in 100"


def p_value(p: float) -> str:
    if p == 0:
        return "p below 1e-300"
    return f"p = {p:.2g}"


# What would be invisible, or would turn the text around it, is shown as a sign of its own.
_SIGNS = (
    {code: chr(0x2400 + code) for code in range(0x20) if chr(code) not in "\n\t"}
    | {0x7F: "\N{SYMBOL FOR DELETE}"}
    | {code: f"[U+{code:04X}]" for code in (*range(0x80, 0xA0), *range(0x202A, 0x202F), *range(0x2066, 0x206A))}
)


def visible(text: str) -> str:
    """Text from a model or a file, with control characters and changes of direction made visible."""
    return text.replace("\r\n", "\n").translate(_SIGNS)


def short(text: str, limit: int = 80) -> str:
    """A name for a table: cut where it is longer than a name can be."""
    return text if len(text) <= limit else text[: limit - 1] + "…"
