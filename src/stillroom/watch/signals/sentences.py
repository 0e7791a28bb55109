"""What each signal says of an organisation, in plain words with its own numbers: no other customer's, no threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from stillroom.text.counted import counted


@dataclass(frozen=True, slots=True)
class Seen:
    """What was measured of one organisation."""

    numbers: Mapping[str, float]
    """Values of signals and facts by name; nan where not known."""
    labels: Mapping[str, str | None]
    days: int
    """Of the window."""

    def count(self, name: str) -> str:
        return f"{self.numbers[name]:,.0f}"

    def counted(self, name: str, one: str) -> str:
        return counted(round(self.numbers[name]), one)

    def share(self, name: str) -> str:
        return percent(self.numbers[name])

    def share_of_calls(self, name: str) -> str:
        """For the beginning of a sentence."""
        said = f"{self.share(name)} of its calls"
        return said[0].upper() + said[1:]


def percent(share: float) -> str:
    """Never rounded to none or to all."""
    if 0 < share < 0.001:
        return "less than 0.1 %"
    if 0.999 < share < 1:
        return "more than 99.9 %"
    return f"{100 * share:.3g} %"


def volume(seen: Seen) -> str:
    accounts = seen.counted("accounts", "account")
    calls = seen.counted("calls", "call")
    return f"It made {calls} from {accounts} in {seen.days} days: {seen.numbers['volume']:,.1f} a day."


def growth(seen: Seen) -> str:
    recent, before = seen.numbers["recent_a_day"], seen.numbers["before_a_day"]
    return f"In the last seven days it made {recent:,.1f} calls a day, and {before:,.1f} a day in the days before."


def round_the_clock(seen: Seen) -> str:
    hours = 24 * seen.numbers["round_the_clock"]
    return (
        f"It called in {seen.counted('hours_of_day', 'hour')} of the day; its calls are as evenly spread as if "
        f"they filled {hours:.1f} of 24 hours."
    )


def bursts(seen: Seen) -> str:
    busiest, mean = seen.counted("busiest_hour", "call"), seen.numbers["calls_an_hour"]
    return f"Its busiest hour had {busiest}; from its first day to its last, an hour had {mean:,.2g} on average."


def steadiness(seen: Seen) -> str:
    less = seen.numbers["steadiness"]
    if 0.9 < less < 1.1:
        return "The gaps between its calls vary as much as those of calls that come by chance."
    than = "less than" if less > 1 else "more than"
    factor = less if less > 1 else 1 / less
    return f"The gaps between its calls vary {factor:.1f} times {than} those of calls that come by chance."


def new_model(seen: Seen) -> str:
    name, day = seen.labels["new_model"], seen.numbers["new_model_day"]
    if name is None:
        return "It took up no new model when it had just appeared."
    return (
        f"It called {name} when it had just appeared ({date_of(day)}), and {seen.share('new_model')} of its calls "
        "since then went to it."
    )


def never_repeated(seen: Seen) -> str:
    return (
        f"{seen.share_of_calls('single_turn')} were single questions, without a conversation before them, and "
        f"{seen.count('sampled_once')} of {seen.count('sampled')} sampled prompts were asked once only."
    )


def breadth(seen: Seen) -> str:
    return (
        f"{seen.share_of_calls('breadth')} were single questions, each asked once, and none of them made from a "
        "template that it often uses."
    )


def template_concentration(seen: Seen) -> str:
    most = counted(min(round(seen.numbers["templates"]), 3), "template")
    return f"{seen.share_of_calls('template_concentration')} were made from {most}."


def template_fillings(seen: Seen) -> str:
    fillings = seen.count("fillings")
    if seen.numbers["templates"] == 1:
        said = f"It filled one template in {fillings} different ways"
    else:
        most = f"{min(seen.numbers['templates'], 3):.0f} templates"
        said = f"It filled {most} in {fillings} different ways, {seen.count('largest_fillings')} of them the same one"
    return f"{said}, which makes {seen.share('template_fillings')} of its calls."


def bank_coverage(seen: Seen) -> str:
    return _bank_coverage(seen, "")


def test_bank_coverage(seen: Seen) -> str:
    return _bank_coverage(seen, "test_")


def _bank_coverage(seen: Seen, kind: str) -> str:
    bank = seen.labels[f"{kind}bank"]
    if bank is None:
        return "It asked no bank's questions."
    return (
        f"It asked {seen.count(f'{kind}bank_questions')} of the {seen.count(f'{kind}bank_size')} questions of the bank "
        f"{bank}, {seen.share(f'{kind}bank_coverage')} of it, in {seen.counted(f'{kind}bank_calls', 'call')}."
    )


def bank_share(seen: Seen) -> str:
    return f"{seen.share_of_calls('bank_share')} were questions of the bank {seen.labels['bank']}."


def bank_evenness(seen: Seen) -> str:
    asked, calls = seen.count("bank_even_questions"), seen.counted("bank_even_calls", "call")
    each = seen.numbers["bank_even_calls"] / max(seen.numbers["bank_even_questions"], 1)
    if seen.numbers["bank_dispersion"] < 0 and each >= 1.5:
        return (
            f"Its {calls} with questions of the bank {seen.labels['bank']} asked {asked} different ones about equally "
            f"often, {each:.1f} times each: {seen.numbers['bank_evenness']:.1f} standard deviations more than drawing "
            "them at random would."
        )
    repeats = seen.numbers["bank_even_calls"] - seen.numbers["bank_even_questions"]
    how = "no question twice" if repeats < 1 else f"with {counted(round(repeats), 'repeat')}"
    return (
        f"Its {calls} with questions of the bank {seen.labels['bank']} asked {asked} different ones, {how}: "
        f"{seen.numbers['bank_evenness']:.1f} standard deviations more than drawing them at random would."
    )


def bank_order(seen: Seen) -> str:
    return (
        f"It asked the questions of the bank {seen.labels['bank']} in the bank's own order, or backwards: a rank "
        f"correlation of at least {seen.numbers['bank_order']:.2f}."
    )


def long_replies(seen: Seen) -> str:
    return (
        f"{seen.share_of_calls('long_replies')} were short questions with long replies: on average "
        f"{seen.count('prompt_tokens')} tokens of prompt and {seen.count('completion_tokens')} of reply."
    )


def asks_reasoning(seen: Seen) -> str:
    return f"{seen.share_of_calls('asks_reasoning')} asked for the model's reasoning."


def many_samples(seen: Seen) -> str:
    return f"{seen.share_of_calls('many_samples')} asked for several samples at once."


def asks_logprobs(seen: Seen) -> str:
    return f"{seen.share_of_calls('asks_logprobs')} asked for log-probabilities."


def asks_grading(seen: Seen) -> str:
    return f"{seen.share_of_calls('asks_grading')} asked the model to grade something."


def date_of(day: float) -> str:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).date().isoformat()
