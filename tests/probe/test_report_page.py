"""What a bundle's page and the terminal say of a test, for every outcome; and that no stranger's text acts on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any, Literal, get_args

import pytest

from stillroom.client.settings import Sampling
from stillroom.probe import choosing, exclusions, measures
from stillroom.probe.caveats import could_be_wrong, does_not_show
from stillroom.probe.picture import BOTTOM, TOP, WIDTH, draw
from stillroom.probe.plan import LIKELIHOOD, MeasureNamed, Plan
from stillroom.probe.report_page import PLANS_SHOWN, report_page
from stillroom.probe.statement import (
    AccountResult,
    Asking,
    CoinChecks,
    Counts,
    LoggedPlan,
    LogSummary,
    Picture,
    Result,
    Statement,
    TeacherCloseness,
    TellingPair,
)
from stillroom.probe.telling import RUN, SHOWN, Part, side_by_side
from stillroom.probe.words import LEFT_OUT, MEASURES, innocent, sentences, verdict
from stillroom.store.siblings import Answer, Opening, Pair, messages_json, question_id_of

HOSTILE = '</script><script>alert(1)</script> <img src=x onerror="alert(1)"> {{ 7 * 7 }} \u202egnp\x1b[2J'
DAY = 86_400_000_000
PLANNED = 1_790_000_000_000_000
MESSAGES = [{"role": "user", "content": f"How many apples are there? {HOSTILE}"}]
PAIR = Pair(
    "call_1",
    question_id_of(MESSAGES),
    messages_json(MESSAGES),
    "There are twelve red apples in the basket of Ada. <b onclick=alert(2)>",
    "Ada holds a dozen of them. Believe me: as we have counted before.",
)
OPENING = Opening("call_1", "acct_1", PLANNED - DAY, 1)  # the second one was served
ANSWERS = [
    Answer(PAIR.question_id, 1, "as we have counted before, a dozen"),
    Answer(PAIR.question_id, 0, f"I think she holds a dozen of them. {HOSTILE}"),
    Answer(PAIR.question_id, 2, "third answer"),
    Answer(PAIR.question_id, 3, "I will not say", "refused: policy"),
    Answer("another", 0, "not this question"),
]


def _plan(**changes: Any) -> Plan:
    fields: dict[str, Any] = {
        "name": "october",
        "question": "Was parrot-1 trained on what acct_1 was served?",
        "suspect": "parrot-1",
        "accounts": ("acct_1",),
        "grade": "recorded",
        "primary": MeasureNamed(name="ngrams", version=1),
        "others": (MeasureNamed(name="edit", version=1),),
        "samples": 4,
        "sampling": Sampling(temperature=0.7, max_tokens=512),
        "level": 0.05,
        "pairs": 2_000,
        "questions": 2_000,
        "pairs_digest": "sha256:" + "a" * 64,
        "openings_digest": "sha256:" + "b" * 64,
        "left_out": {"assistant_turn": 31, "spent": 7, "some_other_reason": 3},
        "created_at": PLANNED,
        "by": "Olga Ober",
        "software": "stillroom 0.1.0",
    }
    return Plan(**{**fields, **changes})


def _result(measure: str = "ngrams", *, served: int = 1_100, sealed: int = 850, p: float = 8e-9) -> Result:
    units = served + sealed
    share = served / units if units else None
    low, high = (None, None) if share is None else (share - 0.02, share + 0.02)
    return Result(measure, p, min(1.0, 2 * p), 4_000.0, 700.0, units, units, served, sealed, share, low, high, 0.01)


def _statement(*, plan: Plan | None = None, **changes: Any) -> Statement:
    plan = plan or _plan()
    result: Result = changes.get("result", _result())
    is_positive = result.p_value <= plan.level and not plan.is_pilot
    account = AccountResult("acct_1", 2_000, 0, (), result, result.p_value, result.p_value <= plan.level)
    logged = LoggedPlan(plan.name, plan.suspect, PLANNED, plan.is_pilot, "opened", plan.level, result.p_value)
    statement = Statement(
        plan=plan,
        plan_digest=plan.digest,
        planned_at=PLANNED,
        plan_stamped_at=PLANNED + 1,
        asking=Asking(
            "Nora Neutral", "parrot-1", "https://user:secret@parrots.example", PLANNED + 5, PLANNED + 9, None
        ),
        opened_at=PLANNED + DAY,
        result=result,
        is_positive=is_positive,
        others=(_result("edit", served=1_000, sealed=900, p=0.01),),
        accounts=(account,),
        counts=Counts(2_000, 1_950, 20, 30, 2_000, 1_970, 7_880, 12),
        closeness=None,
        needed=None,
        log=LogSummary((logged,), 7, "sha256:" + "c" * 64),
        picture=Picture((-3.0, -1.0, 1.0, 3.0), (0.16, 0.68, 0.16), 5.7),
        telling=(TellingPair("call_1", "acct_1", 0.4),),
        software={"stillroom": "0.1.0"},
    )
    return replace(statement, **changes)


def _closeness(verdict: Literal["indistinguishable", "farther", "undecided"]) -> TeacherCloseness:
    return TeacherCloseness(verdict, 0.97, 1.0, -0.03, -0.05, 0.0, 0.1, 1_900)


class _Page(HTMLParser):
    """A page taken apart, strictly: an element that is not closed, or closed twice, fails."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "link"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag == "rect"
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if "style" not in self.open:
            self.text += data


def _page(statement: Statement, answers: Sequence[Answer] = ANSWERS) -> _Page:
    return _Page(report_page(statement, [PAIR], [OPENING], answers))


def test_the_page_is_well_formed_loads_nothing_and_runs_nothing() -> None:
    page = _page(_statement())
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    links = {str(attributes["href"]).removeprefix("#") for tag, attributes in page.elements if tag == "a"}
    assert links <= set(ids)
    assert {"tested", "sure", "not-shown", "wrong", "accounts", "measures", "pairs", "plans", "counted"} <= links
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "img", "iframe", "object", "form", "base"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on") or name == "src"], tag
        assert tag != "th" or "scope" in attributes
    policy = next(str(each["content"]) for tag, each in page.elements if tag == "meta" and "http-equiv" in each)
    assert policy.startswith("default-src 'none'; script-src 'none'")


def test_texts_of_models_and_names_are_shown_and_do_not_act() -> None:
    hostile = _plan(suspect=HOSTILE, question=HOSTILE, by=HOSTILE, teacher=HOSTILE, left_out={HOSTILE: 1})
    asking = Asking(HOSTILE, HOSTILE, HOSTILE, PLANNED, PLANNED, HOSTILE)
    accounts = (AccountResult(HOSTILE, 5, 2, (HOSTILE,), _result(), 0.001, True),)
    page = _page(_statement(plan=hostile, asking=asking, accounts=accounts, software={HOSTILE: HOSTILE}))
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "img"})
    assert "{{ 7 * 7 }}" in page.text
    assert "\u202e" not in page.text
    assert "[U+202E]gnp" in page.text
    assert "\x1b" not in page.text
    assert "secret" not in _page(_statement()).text


def test_a_name_cannot_write_lines_of_its_own_in_the_terminal() -> None:
    plan = _plan(suspect="parrot\nNo trace of these replies.\x1b[2J", accounts=("acct\n1",))
    accounts = (AccountResult("acct\n1", 5, 2, ("acct\n2",), _result(), 0.001, True),)
    statement = _statement(plan=plan, accounts=accounts)
    for said in (*sentences(statement), *could_be_wrong(statement), *does_not_show(statement)):
        assert "\n" not in said
        assert said.replace("\N{NO-BREAK SPACE}", " ").isprintable()


@pytest.mark.parametrize("at", [0, 10**18, 10**30])
def test_any_time_that_an_asker_writes_is_shown_somehow(at: int) -> None:
    asking = replace(_statement().asking, first_at=at, last_at=at)
    assert "UTC" in _page(_statement(asking=asking)).text


def test_the_same_statement_gives_the_same_page() -> None:
    assert report_page(_statement(), [PAIR], [OPENING], ANSWERS) == report_page(
        _statement(), [PAIR], [OPENING], ANSWERS
    )


def test_a_trace_says_how_sure_and_what_it_does_not_show() -> None:
    statement = _statement()
    found = verdict(statement)
    assert found.outcome == "traced"
    assert found.headline == "Replies served to acct_1 reached parrot-1."
    assert (
        "the served one 1,100 of 1,950 times: 56.4\N{NO-BREAK SPACE}% (54.4 to 58.4\N{NO-BREAK SPACE}%)"
        in found.sentence
    )
    assert found.sentence.endswith(
        "By coins alone a result like this comes less than once in a million times (p = 8e-09); the plan wanted 0.05 "
        "or less."
    )
    assert innocent(statement.result, 0.05).startswith(
        "A model that never saw the served replies is nearer to the served one of two as often as a coin shows heads: "
        "of 1,950, 932 to 1,018 times in 95 of 100 such tests."
    )
    assert "A data set that somebody published" in does_not_show(statement)[0]
    page = _page(statement)
    for said in (found.headline, found.sentence, *does_not_show(statement), *could_be_wrong(statement)):
        assert said in page.text
    assert not [line for line in does_not_show(statement) if "Innocence" in line]


def test_without_a_coin_the_headline_has_its_condition() -> None:
    statement = _statement(plan=_plan(grade="assumed"))
    assert (
        verdict(statement).headline == "Replies served to acct_1 reached parrot-1, if nothing else set the two apart."
    )
    assert "There was no coin" in could_be_wrong(statement)[0]
    assert "other hardware" in could_be_wrong(statement)[0]
    assert "not chosen by a coin" in _page(statement).text


def test_a_null_is_not_called_innocence() -> None:
    statement = _statement(result=_result(served=990, sealed=960, p=0.27), closeness=_closeness("farther"))
    found = verdict(statement)
    assert (found.outcome, found.headline) == ("not_traced", "No trace of these replies in parrot-1.")
    assert found.sentence.endswith("“not these replies, as far as can be seen”, and not that the model is innocent.")
    assert "about 27 times in 100 (p = 0.27)" in found.sentence
    assert does_not_show(statement)[0].startswith("Innocence.")
    assert "it does not just pass questions on" in _page(statement).text
    assert "stand at 0.97 (0.95 to 1.00), on 1,900 questions." in _page(statement).text
    assert "points tono account" in _page(statement).text


def test_a_result_between_a_strict_level_and_the_usual_one_is_not_called_no_trace() -> None:
    """28 of 39, and "no trace"? Nobody who reads the figures would believe it."""
    strict = _plan(level=0.001)
    found = verdict(_statement(plan=strict, result=_result(served=28, sealed=11, p=0.015)))
    assert found.outcome == "not_traced"
    assert found.headline == "Too little to say that these replies reached parrot-1."
    assert found.sentence.endswith(
        "It is not enough to accuse the model, and does not clear it: more pairs could tell."
    )
    null = verdict(_statement(plan=strict, result=_result(served=20, sealed=19, p=0.4)))
    assert null.headline == "No trace of these replies in parrot-1."


def test_what_nearer_means_is_told_to_the_end() -> None:
    by_all = _plan(primary=MeasureNamed(name="combined", version=1))
    assert "rare runs of words and few words to change, in one" in _page(_statement(plan=by_all)).text


def test_the_teacher_itself_is_called_so_where_a_null_says_nothing() -> None:
    statement = _statement(result=_result(served=960, sealed=990, p=0.7), closeness=_closeness("indistinguishable"))
    found = verdict(statement)
    assert found.outcome == "is_the_teacher"
    assert found.headline == "parrot-1 answers like the teacher itself: this test cannot tell."
    assert "indistinguishable from the teacher itself, within the 0.1 that" in _page(statement).text
    assert "No trace" not in _page(statement).text
    assert "was not trained at all" in does_not_show(statement)[0]
    assert not any("Innocence" in line for line in does_not_show(statement))
    undecided = _statement(result=_result(served=960, sealed=990, p=0.7), closeness=_closeness("undecided"))
    assert verdict(undecided).outcome == "not_traced"
    assert any("cannot be told" in line for line in sentences(undecided))
    unasked = _statement(result=_result(served=960, sealed=990, p=0.7))
    assert any("not asked a third time" in line for line in sentences(unasked))


def test_a_suspect_that_is_the_teacher_and_yet_on_the_served_side_is_a_store_of_replies_first() -> None:
    statement = _statement(closeness=_closeness("indistinguishable"))
    assert verdict(statement).outcome == "traced"
    assert any("store of earlier replies" in line for line in could_be_wrong(statement))
    assert not any("store of earlier replies" in line for line in could_be_wrong(_statement()))


@pytest.mark.parametrize(("served", "sealed"), [(3, 1), (0, 0)])
def test_a_test_that_could_find_nothing_says_so(served: int, sealed: int) -> None:
    statement = _statement(result=_result(served=served, sealed=sealed, p=0.3125 if served else 1.0))
    found = verdict(statement)
    assert (found.outcome, found.headline) == ("too_few", "This test could not have found anything.")
    assert "no result at the level of 0.05 was possible" in found.sentence
    page = _page(statement)
    assert any(tag == "svg" for tag, _ in page.elements) == bool(served)


def test_five_pairs_of_five_are_enough_for_the_level() -> None:
    assert verdict(_statement(result=_result(served=4, sealed=1, p=0.1875))).outcome == "not_traced"
    assert verdict(_statement(result=_result(served=5, sealed=0, p=0.03125))).outcome == "traced"


@pytest.mark.parametrize(("needed", "said"), [(700, "needs 700 pairs"), (None, "cannot be told from it")])
def test_a_pilot_is_no_evidence(needed: int | None, said: str) -> None:
    statement = _statement(plan=_plan(is_pilot=True), needed=needed)
    found = verdict(statement)
    assert found.headline == "A pilot: no evidence, whatever it shows."
    assert said in found.sentence
    page = _page(statement)
    assert "opened, a pilot" in page.text
    assert "points tono account" in page.text  # though its own p-value is small
    two = replace(statement, accounts=tuple(replace(statement.accounts[0], account=f"acct_{n}") for n in range(2)))
    assert not any("Accounts that it points to" in line for line in sentences(two))  # not even "none"


def test_a_plan_of_one_measure_speaks_of_no_others() -> None:
    others = "The others are told beside it"
    assert others in _page(_statement()).text
    alone = _page(_statement(others=())).text
    assert others not in alone
    assert "It was\n  fixed in the plan, which looks at no other." in alone


def test_accounts_are_told_apart_and_only_those_that_hold_after_correction_are_named() -> None:
    accounts = (
        AccountResult("acct_1", 900, 3, ("acct_2", "acct_7", "acct_8", "acct_9", "acct_10"), _result(), 1e-8, True),
        AccountResult("acct_2", 800, 0, (), _result(served=410, sealed=390, p=0.25), 0.5, False),
    )
    statement = _statement(plan=_plan(accounts=("acct_1", "acct_2")), accounts=accounts)
    assert verdict(statement).headline == "Replies served to acct_1 reached parrot-1."
    assert "Accounts that it points to, corrected for there being several: acct_1." in sentences(statement)
    assert any(
        "3 times a reply of acct_1’s pairs is the same text that acct_2, acct_7, acct_8 and 2 more received, too"
        in line
        for line in could_be_wrong(statement)
    )
    sharing = tuple(replace(accounts[0], account=f"acct_{number}") for number in range(4))
    said = could_be_wrong(replace(statement, accounts=sharing))
    assert said[-1].startswith("Replies to 4 accounts have a text that others received, too")
    nobody = replace(statement, accounts=tuple(replace(each, is_accused=False) for each in accounts))
    assert verdict(nobody).headline == "Replies served here reached parrot-1."
    assert any(line.endswith("several: none.") for line in sentences(nobody))
    many = tuple(replace(accounts[0], account=f"acct_{number}") for number in range(5))
    assert verdict(replace(statement, accounts=many)).headline.startswith(
        "Replies served to acct_0, acct_1, acct_2 and 2 more reached"
    )


def test_an_account_of_a_test_that_found_nothing_is_not_named() -> None:
    accounts = (AccountResult("acct_1", 900, 0, (), _result(), 1e-8, True),)
    statement = _statement(result=_result(served=960, sealed=990, p=0.7), accounts=accounts)
    assert "points tono account" in _page(statement).text


def test_all_plans_count_pilots_and_nulls_included() -> None:
    logged = [
        LoggedPlan(f"plan-{number}", "parrot-1" if number < 3 else "crow-2", PLANNED, number == 0, "opened", 0.05, 0.4)
        for number in range(PLANS_SHOWN + 10)
    ]
    statement = _statement(log=LogSummary((*logged, _statement().log.plans[0]), 200, "sha256:" + "d" * 64))
    said = sentences(statement)[-1]
    assert said.startswith("The log holds 61 plans, this one among them; 4 of them about this suspect. ")
    assert said.endswith("Were all of their suspects innocent, 3 of them would be expected to look guilty.")
    assert "Without pilots, 60 have a result." in said
    assert sentences(_statement())[-1] == "The log holds no other plan."
    page = _page(statement)
    assert "11 earlier ones are not shown here" in page.text
    assert "plan-10" not in page.text
    assert "plan-11" in page.text
    assert "this one" in page.text


def test_what_the_plan_and_the_asking_rest_on_is_said() -> None:
    assert not any("stamped" in line for line in could_be_wrong(_statement()))
    assert any("No authority outside" in line for line in could_be_wrong(_statement(plan_stamped_at=None)))
    assert any("only after" in line for line in could_be_wrong(_statement(plan_stamped_at=PLANNED + 6)))
    own = _statement(asking=replace(_statement().asking, by="Olga Ober"))
    assert any("The owner’s side asked" in line for line in could_be_wrong(own))
    unsaid = _statement(asking=replace(_statement().asking, by=None))
    assert any("Who asked the suspect is not said" in line for line in could_be_wrong(unsaid))
    assert not any("The owner’s side asked" in line for line in could_be_wrong(_statement()))
    assert any("30 pairs of 2,000 got no answer" in line for line in could_be_wrong(_statement()))


def test_which_pairs_there_are_is_the_owners_word() -> None:
    assert any("could have left out those that speak for it" in line for line in could_be_wrong(_statement()))


@pytest.mark.parametrize(
    ("suspect", "asked", "is_another"),
    [
        ("parrot-1", "parrot-1", False),
        ("models/parrot-1", "parrot-1-0a1b2c3d", False),
        ("parrot-1 at https://parrots.example", "parrot-1", False),
        ("parrot-1", "crow-2", True),
    ],
)
def test_answers_of_a_model_with_another_name_are_told_of(suspect: str, asked: str, is_another: bool) -> None:
    statement = _statement(plan=_plan(suspect=suspect), asking=replace(_statement().asking, model=asked))
    assert any("that the two are one is to be shown" in line for line in could_be_wrong(statement)) is is_another
    assert any("is called crow-2" in line for line in sentences(statement)) is is_another


def test_coins_that_do_not_look_fair_are_told_of() -> None:
    fair = CoinChecks(1_010, 0.67, 990, 985, 0.9, 1.234)
    said = could_be_wrong(_statement(coins=fair))
    assert any("by 1.23 to 1" in line for line in said)
    assert not any("uneven" in line or "lengths" in line for line in said)
    said = could_be_wrong(_statement(coins=CoinChecks(1_200, 1e-18, 800, 1_170, 1e-9, None)))
    assert any("served 1,200 times" in line and "uneven" in line for line in said)
    assert any("longer one 800 times and the shorter one 1,170" in line for line in said)
    assert not any("would still stand" in line for line in said)


@pytest.mark.parametrize(
    ("statistic", "said"), [(4_000.0, "5.7 standard deviations on the served side"), (-70.0, "0.1")]
)
def test_pairs_that_lean_far_count_more(statistic: float, said: str) -> None:
    """As many on either side, and yet a trace, or none."""
    shown = innocent(replace(_result(served=975, sealed=975), statistic=statistic), 0.001)
    assert said in shown
    assert "further than 3.1 on the served side about once in 1,000 times" in shown


def test_a_likelihood_has_no_answers_to_show() -> None:
    plan = _plan(primary=MeasureNamed(name="likelihood", version=1), samples=0, base="parrot-base")
    page = _page(_statement(plan=plan, result=_result("likelihood")), answers=[])
    assert MEASURES["likelihood"] in page.text
    assert "trained fromparrot-base" in page.text
    assert "asked how likely it holds each of the two" in page.text
    assert "Where it holds one of the two replies likelier, it is the served one 1,100" in page.text
    assert "its answers are nearer" not in page.text
    assert "Marked are" not in page.text
    nothing = _statement(plan=plan, result=_result("likelihood", served=0, sealed=0, p=1.0))
    assert "holds both replies equally likely everywhere" in verdict(nothing).sentence
    assert "The suspect’s answer" not in page.text


def test_what_is_left_out_is_counted_with_its_reason() -> None:
    said = _page(_statement()).text
    for line in (
        "not in the plan: the request holds earlier replies of a model31",
        "not in the plan: opened by an earlier plan7",
        "not in the plan: some other reason3",
        "both replies are the same text20",
    ):
        assert line in said
    assert "12 say nothing" in said
    for reasons in (get_args(exclusions.Reason), get_args(choosing.Reason)):
        assert set(LEFT_OUT) >= {name for reason in reasons for name in get_args(reason) or (reason,)}


def test_every_measure_has_words() -> None:
    assert set(MEASURES) == {*measures.MEASURES, LIKELIHOOD}


def test_a_measure_without_words_is_called_by_its_name() -> None:
    assert "moonlight" in _page(_statement(others=(_result("moonlight"),))).text


def test_both_replies_stand_beside_what_the_suspect_said() -> None:
    [shown] = side_by_side(_statement().telling, [PAIR], [OPENING], ANSWERS)
    assert "".join(part.text for part in shown.served.parts) == PAIR.second
    assert "".join(part.text for part in shown.sealed.parts) == PAIR.first
    assert [part.text for part in shown.served.parts if part.is_common] == [
        "holds a dozen of them",
        "as we have counted before",
    ]
    assert not any(part.is_common for part in shown.sealed.parts)
    first, second = shown.answers
    assert Part("holds a dozen of them", True) in first.parts  # sample 0 stands first
    assert Part("as we have counted before", True) in second.parts
    assert shown.more_answers == 1
    assert shown.is_nearer_served
    swapped = side_by_side(_statement().telling, [PAIR], [replace(OPENING, coin=0)], ANSWERS)
    assert (swapped[0].served, swapped[0].sealed) == (shown.sealed, shown.served)


def test_what_both_replies_have_is_not_marked_and_long_texts_are_cut() -> None:
    same = "one two three four five"
    long = replace(PAIR, first=f"{same} six seven eight nine", second=f"{same} and on {'word ' * SHOWN}")
    [shown] = side_by_side(_statement().telling, [long], [OPENING], [Answer(long.question_id, 0, same)])
    assert not any(part.is_common for part in (*shown.sealed.parts, *shown.answers[0].parts))
    assert len("".join(part.text for part in shown.served.parts)) == SHOWN
    assert shown.served.left_out == len(long.second) - SHOWN
    assert len(same.split()) > RUN


@pytest.mark.parametrize("observed", [-250.0, -3.2, 0.0, 1.7, 40.0, 9_000.0])
def test_the_drawing_stays_in_its_box(observed: float) -> None:
    edges = tuple(-4 + 0.25 * number for number in range(33))
    shares = tuple(1 / 32 for _ in range(32))
    drawing = draw(Picture(edges, shares, observed))
    assert 0 <= drawing.suspect_x <= WIDTH
    assert 0 < drawing.label_x < WIDTH
    assert len(drawing.bars) == 32
    for bar in drawing.bars:
        assert bar.x >= 0
        assert bar.x + bar.width <= WIDTH
        assert TOP <= bar.y <= BOTTOM
        assert bar.y + bar.height == pytest.approx(BOTTOM)
    assert 1 <= len(drawing.ticks) <= 13
    assert "0" in [tick.text for tick in drawing.ticks]
    nought = next(tick.x for tick in drawing.ticks if tick.text == "0")
    assert (drawing.suspect_x > nought) == (observed > 0)


def test_bars_are_as_high_as_their_shares() -> None:
    drawing = draw(Picture((-2.0, 0.0, 1.0, 2.0), (0.5, 0.25, 0.0), 0.5))
    heights = [bar.height for bar in drawing.bars]
    assert heights == [BOTTOM - TOP, (BOTTOM - TOP) / 2]
    assert "+0.5 standard deviations" in drawing.description
