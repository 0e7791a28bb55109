"""The card of a student: what the hub reads of it, what it says of lineage, terms and figures, and that nobody's name
gets out of its place.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from huggingface_hub import ModelCard, ModelCardData
from markdown_it import MarkdownIt

from stillroom.report import model_card
from stillroom.report.demands import TermsOfRows
from stillroom.report.lineage import Base, Lineage, Source, Teacher
from stillroom.report.model_card import ModelFacts, render_model_card, student_licence
from stillroom.report.run_files import Examined
from stillroom.report.training_file import HeldOut, Lora, Mark, Trained
from stillroom.terms.conditions import Conditions
from stillroom.terms.grants import Grant, GrantedTerms

LINEAGE = Lineage(
    run="abacus",
    recipe="sha256:4c1f",
    base=Base(name="owner/base-1", at_hub=True, digest="sha256:ba5e", licence="apache-2.0"),
    teachers=(Teacher(model="oracle-1", terms="own", rows=900),),
    host="api.example.com",
    traces="sha256:7ace",
    dataset="sha256:da7a",
    sources=(Source(name="sums.jsonl", licence="MIT", rows=800), Source(name="more.jsonl", licence=None, rows=100)),
    hub_datasets=("openai/gsm8k",),
    with_reasoning=890,
    language="en",
    settings={"warmup": 0.05, "weights": {"reasoning": 0.5, "answer": 1.0}, "precision": "auto"},
)
TRAINED = Trained(
    method="sft",
    student="/home/somebody/models/base-1",
    parameters=134_515_008,
    traces=900,
    rows=905,
    skipped={"too_long": 7},
    steps=300,
    epochs=3,
    trained_tokens=1_234_567,
    learning_rate=1e-4,
    seed=7,
    threads=2,
)


def taker(accuracy: float, model: str, n: int = 200, **more: Any) -> dict[str, Any]:
    return {"accuracy": accuracy, "low": accuracy - 0.05, "high": accuracy + 0.05, "n": n, "model": model, **more}


def exam(**more: Any) -> Examined:
    takers = {"student": taker(0.7, "student@12345678", truncated_share=0.125), "base": taker(0.4, "base@1")}
    pair = {"a": "student", "b": "base", "difference": 0.3, "low": 0.2, "high": 0.4, "p_value": 1e-9, "p_holm": 2e-9}
    split = dict.fromkeys(("only_a", "only_b", "both_right", "both_wrong"))
    return Examined.model_validate(
        {"n": 200, "takers": takers, "comparisons": [pair | split], "max_tokens": 256} | more
    )


FACTS = ModelFacts(
    lineage=LINEAGE,
    trained=TRAINED,
    weights="sha256:12345678",
    examined=None,
    me=None,
    opens_think=False,
    tags_are_special=False,
)
EXAMINED = replace(FACTS, examined=exam(), me="student")


def head_of(card: ModelCard) -> dict[str, Any]:
    head: dict[str, Any] = card.data.to_dict()  # type: ignore[no-untyped-call]
    return head


def rendered(facts: ModelFacts) -> tuple[dict[str, Any], str]:
    """What huggingface_hub reads of the head, and the text."""
    card = ModelCard(render_model_card(facts))
    return head_of(card), card.text.replace("\N{NO-BREAK SPACE}", " ")


def under(terms: str, **changes: Any) -> ModelFacts:
    """The same student, whose teacher's terms are these."""
    teachers = (Teacher(model="oracle-1", terms=terms, rows=900),)
    return replace(FACTS, lineage=LINEAGE.model_copy(update={"teachers": teachers, **changes}))


def test_the_head_is_what_the_hub_reads() -> None:
    head, _ = rendered(EXAMINED)
    assert {key: value for key, value in head.items() if key != "model-index"} == {
        "base_model": "owner/base-1",
        "base_model_relation": "finetune",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "apache-2.0",
        "language": ["en"],
        "datasets": ["openai/gsm8k"],
        "tags": ["distillation", "stillroom"],
    }
    data = ModelCard(render_model_card(EXAMINED)).data
    assert isinstance(data, ModelCardData)
    assert data.eval_results is not None
    (result,) = data.eval_results
    assert (result.task_type, result.dataset_name, result.metric_type, result.metric_value) == (
        "text-generation", "questions", "accuracy", 0.7,
    )  # fmt: skip


def test_what_is_not_known_is_not_in_the_head() -> None:
    local = Base(name="base-1", at_hub=False, digest=None, licence=None)
    lineage = LINEAGE.model_copy(update={"base": local, "language": None, "hub_datasets": ()})
    head, text = rendered(replace(FACTS, lineage=lineage))
    assert head == {
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "license": "unknown",
        "tags": ["distillation", "stillroom"],
    }
    assert "These weights were not examined." in text
    assert "| digest of the base | not known |" in text


def test_the_lineage_is_there_and_no_place_on_the_machine() -> None:
    _, text = rendered(FACTS)
    for said in (
        "`owner/base-1`, 134,515,008 parameters",
        "`sha256:ba5e`",
        "`sha256:7ace`",
        "`sha256:da7a`",
        "`sha256:4c1f`",
    ):
        assert said in text
    assert "| `oracle-1` | `own` | 900 |" in text
    assert "asked at `api.example.com`" in text
    assert "| `sums.jsonl` | `MIT` | 800 |" in text
    assert "| `more.jsonl` | not recorded | 100 |" in text
    assert "/home/" not in text
    inner = replace(FACTS, lineage=LINEAGE.model_copy(update={"host": "gpu-3.internal"}))
    assert "gpu-3" not in rendered(inner)[1]


def test_how_it_was_trained_is_told() -> None:
    held_out = HeldOut(curve=(Mark(100, 60, 90), Mark(200, 81, 90)), best_step=200, stopped_early=True)
    trained = TRAINED.model_copy(update={"lora": Lora(rank=16, alpha=32.0), "held_out": held_out})
    _, text = rendered(replace(FACTS, trained=trained))
    for row in (
        "| weights | low-rank adapters, rank 16, alpha 32, merged into the base |",
        "| epochs | `3` |",
        "| trained tokens | `1,234,567` |",
        "| learning rate, highest | `0.0001` |",
        "| weights in the loss | `reasoning 0.5, answer 1.0` |",
        "| seed | `7` |",
        "| left out: `too_long` | 7 rows |",
        "| chosen | the weights after step 200, where training was then stopped: 81 of 90 held-out questions right |",
    ):
        assert row in text


def test_the_figures_are_those_of_the_examination() -> None:
    _, text = rendered(EXAMINED)
    assert "| **this model** | 70.0 % (65.0 to 75.0 %) |" in text
    assert "| base | 40.0 % (35.0 to 45.0 %) |" in text
    assert "- student minus base: +30.0 points (+20.0 to +40.0), p = 2e-09, corrected for all pairs" in text
    assert "Of its replies, 12.5 % were cut by the limit" in text
    assert "max_new_tokens=256" in text
    assert "measured on these questions only" in text
    assert "It may have forgotten what its base could do: no set of questions was there to tell." in text


def test_sets_and_the_verdict_stand_in_the_card() -> None:
    sets = {name: exam().model_dump() for name in ("task", "gen_eral")}
    outcome = {
        "name": "gen_eral",
        "keep": True,
        "outcome": "lost",
        "n": 9,
        "difference": None,
        "low": None,
        "high": None,
    }
    why = "The student is not called better than its base: it lost. Lost on gen_eral."
    ship = {"verdict": "lost", "why": why, "margin": 0.02, "sets": [outcome]}
    facts = replace(EXAMINED, examined=exam(sets=sets, ship=ship))
    head, text = rendered(facts)
    assert [each["dataset"]["name"] for each in head["model-index"][0]["results"]] == ["task", "gen_eral"]
    assert "| | `task` | `gen_eral` |" in text
    assert "measured on these question sets only" in text
    assert "beyond the sets that were to be kept" in text
    shown = MarkdownIt("commonmark").enable("table").render(text)
    assert f"<p>{why}</p>" in shown
    assert shown.count("<table>") == 5
    of_the_other = replace(facts, me="base")
    assert "not called better" not in rendered(of_the_other)[1]


# Terms


def test_own_terms_demand_nothing() -> None:
    _, text = rendered(FACTS)
    assert "900 rows of a teacher that the recipe calls the maker's own (`terms: own`): nothing is demanded." in text


def test_unknown_terms_are_to_be_looked_at() -> None:
    teachers = (Teacher(model="oracle-1", terms="some-api", rows=890), Teacher(model=None, terms=None, rows=10))
    lineage = LINEAGE.model_copy(update={"teachers": teachers[:1]})
    head, text = rendered(replace(FACTS, lineage=lineage))
    assert "look at the terms yourself: `some-api`" in text
    assert (head["license"], head["license_name"]) == ("other", "see-terms")
    head, text = rendered(replace(FACTS, lineage=LINEAGE.model_copy(update={"teachers": teachers})))
    assert "10 rows: nobody said under which terms" in text
    assert head["license"] == "unknown"


def test_what_the_ledger_demands_is_passed_on() -> None:
    _, text = rendered(under("llama-3.1"))
    assert "Demanded: its name begins with Llama." in text
    assert "This name does not do: it has to begin with Llama. Give the model away under another." in text
    assert "This name does not do" not in rendered(under("llama-3.1", run="Llama-abacus"))[1]
    head, text = rendered(under("gemma"))
    assert "Demanded: the licence gemma goes along with it, its restrictions of use included." in text
    assert (head["license"], head["license_name"]) == ("other", "several")
    assert "under `apache-2.0`: nothing is demanded of this model." in rendered(under("apache-2.0"))[1]


def test_what_the_run_was_granted_stands_before_what_the_ledger_says_today() -> None:
    given = GrantedTerms(
        id="oracle-api",
        by="ledger",
        name="The <b>oracle's</b> terms",
        outputs_may_train="conditions",
        conditions=Conditions(name_must_contain="Oracle"),
        source="https://oracle.example/terms",
        read_on="2026-11-26",
    )
    grant = Grant(terms="oracle-api", by=("ledger",), entries=(given,))
    head, text = rendered(under("oracle-api", grant=grant))
    assert "Demanded: its name contains Oracle." in text
    assert r"The \<b\>oracle's\</b\> terms (entry oracle-api of the ledger, read on 2026-11-26)" in text
    assert head["license"] == "apache-2.0"


@pytest.mark.parametrize(
    ("base", "demands", "identifier", "name"),
    [
        (None, (), "unknown", None),
        ("Apache-2.0", (), "apache-2.0", None),
        ("llama3.1", (Conditions(pass_licence_on="Llama3.1"),), "llama3.1", None),
        ("mit", (Conditions(name_must_contain="a"), Conditions(pass_licence_on="llama3.1")), "other", "several"),
        ("mit", None, "other", "see-terms"),
        ("My Licence <b>", (), "other", "my-licence-b"),
    ],
)
def test_a_licence_is_named_where_all_agree_and_never_made_up(
    base: str | None, demands: tuple[Conditions, ...] | None, identifier: str, name: str | None
) -> None:
    found = student_licence(base, [TermsOfRows("some", 3, demands)])
    assert (found.identifier, found.name) == (identifier, name)
    assert student_licence("mit", [TermsOfRows("own", 3, ()), TermsOfRows(None, 1, None)]).identifier == "unknown"


# The prompt


def test_the_example_knows_where_the_reasoning_is() -> None:
    _, text = rendered(FACTS)
    assert "A reply is the reasoning in one `<think>` block, and behind `</think>` the answer." in text
    assert "begins inside the block" not in text
    assert "skip_special_tokens=True" in text
    _, text = rendered(replace(FACTS, opens_think=True, tags_are_special=True))
    assert "The prompt ends with `<think>`, so that a reply begins inside the block." in text
    assert "skip_special_tokens=False" in text
    answers = TRAINED.model_copy(update={"method": "answers_only"})
    _, text = rendered(replace(FACTS, trained=answers, lineage=LINEAGE.model_copy(update={"with_reasoning": 0})))
    assert "A reply is the answer; there is no think block." in text
    _, text = rendered(replace(FACTS, lineage=LINEAGE.model_copy(update={"with_reasoning": 0})))
    assert "hold no reasoning" in text


@pytest.mark.parametrize(
    ("ending", "opens"),
    [
        ("{% if add_generation_prompt %}<|assistant|>{% endif %}", False),
        ("{% if add_generation_prompt %}<|assistant|><think>\n{% endif %}", True),
        (
            "{% if add_generation_prompt %}<|assistant|>{% if enable_thinking is false %}<think>\n\n</think>\n\n"
            "{% endif %}{% endif %}",
            False,
        ),
        ("<think>{{ reasoning }}", False),
    ],
)
def test_a_prompt_that_opens_the_block_is_told_from_the_template(tmp_path: Path, ending: str, opens: bool) -> None:
    (tmp_path / "chat_template.jinja").write_text("{{ messages[0].content }}</think>" + ending)
    assert model_card._opens_think(tmp_path) is opens


# Names that nobody vouches for


HOSTILE = "`</code><script>alert(1)</script>` | **b** [x](javascript:1)\n# head\n---\n{{ 7 * 7 }} \x1b[31m\u202e"


def test_a_hostile_name_is_text() -> None:
    lineage = LINEAGE.model_copy(
        update={
            "run": HOSTILE,
            "base": Base(name=HOSTILE, at_hub=True, digest=HOSTILE, licence=HOSTILE),
            "teachers": (Teacher(model=HOSTILE, terms=HOSTILE, rows=1),),
            "sources": (Source(name=HOSTILE, licence=HOSTILE, rows=1),),
            "hub_datasets": (HOSTILE,),
            "settings": {"precision": HOSTILE},
        }
    )
    ship = {"verdict": "lost", "why": HOSTILE, "margin": 0.02, "sets": []}
    takers = {"student": taker(0.7, "student@1"), HOSTILE: taker(0.4, HOSTILE)}
    part = {"n": 1, "takers": takers}
    examined = exam(takers=takers, comparisons=[], sets={HOSTILE: part}, ship=ship)
    trained = TRAINED.model_copy(update={"skipped": {HOSTILE: 3}})
    facts = replace(EXAMINED, lineage=lineage, examined=examined, trained=trained)
    card = ModelCard(render_model_card(facts))
    assert head_of(card)["base_model"] == HOSTILE
    shown = MarkdownIt("commonmark", {"html": True}).enable("table").render(card.text)
    assert "<script" not in shown
    assert "<strong>b" not in shown
    assert "href" not in shown
    assert shown.count("<h1>") == 1
    assert "\x1b" not in card.text
    assert "\u202e" not in card.text
    assert "49" not in shown
