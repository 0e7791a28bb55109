"""From rendered rows to what training counts, and to the student's folder."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from stillroom.base.errors import DataError, ModelError
from stillroom.base.progress import Silent
from stillroom.base.records import Message, Trace
from stillroom.generate.load import load_model
from stillroom.report.rows import RowFilter
from stillroom.store.tables import write_traces
from stillroom.train.loss import collate, collate_weights
from stillroom.train.preview import preview
from stillroom.train.render import Renderer
from stillroom.train.run import rows_that_fit, train
from stillroom.train.settings import PartWeights, TrainSettings

SETTINGS = TrainSettings(student="tiny", epochs=1, threads=1, learning_rate=1e-3, step_tokens=256, batch_tokens=100)
CPU = torch.device("cpu")


def user(text: str) -> Message:
    return Message(role="user", content=text)


def assistant(answer: str, reasoning: str | None = None) -> Message:
    return Message(role="assistant", content=answer, reasoning=reasoning)


def trace(*messages: Message) -> Trace:
    return Trace(question_id="q", messages=messages, source="test")


TRACES = [
    trace(user("2+3?"), assistant("5", "2+3=5")),
    trace(user("1?"), assistant("A", "ra"), user("2?"), assistant("B", "rb")),
    trace(user("1?"), assistant("A"), user("2?"), assistant("B")),
]


@pytest.fixture
def table(tmp_path: Path) -> Path:
    write_traces(tmp_path / "traces.parquet", TRACES)
    return tmp_path / "traces.parquet"


@pytest.mark.parametrize("weights", [PartWeights(), PartWeights(reasoning=0.5), PartWeights(reasoning=0)])
def test_every_path_trains_the_same_tokens(table: Path, tiny_model: Path, tmp_path: Path, weights: PartWeights) -> None:
    settings = SETTINGS.model_copy(update={"weights": weights})
    local = load_model(tiny_model)
    rows = [row for one in TRACES for row in Renderer(local.tokenizer, "sft", local.end_ids, weights).render(one)]
    trained = sum(int(row.trained.sum()) for row in rows)
    _, targets_BT = collate(rows, 0, CPU)
    weights_N = collate_weights(rows, CPU)
    shown = preview(table, tiny_model, settings, RowFilter(), 10)
    facts = train(table, tiny_model, tmp_path / "out", settings, Silent())
    assert int((targets_BT != -100).sum()) == trained
    assert weights_N is None or len(weights_N) == trained
    assert sum(row.trained for each in shown for row in each.rows) == trained
    assert facts["trained_tokens"] == trained
    assert (facts["traces"], facts["rows"]) == (3, 4)


def test_targets_are_the_replies_whatever_pads_and_ends_have_the_same_number(tiny_model: Path) -> None:
    local = load_model(tiny_model)
    local.tokenizer.pad_token = local.tokenizer.eos_token
    rows = [row for one in TRACES for row in Renderer(local.tokenizer, "sft", local.end_ids).render(one)]
    _, targets_BT = collate(rows, int(local.tokenizer.pad_token_id), CPU)
    for row, targets_T in zip(rows, targets_BT, strict=True):
        assert targets_T[targets_T != -100].tolist() == row.ids[row.trained].tolist()
        assert (targets_T == local.tokenizer.eos_token_id).sum() == len(row.replies)


def test_weights_change_what_is_learned_and_their_scale_does_not(table: Path, tiny_model: Path, tmp_path: Path) -> None:
    curves = {}
    for reasoning, answer in ((1.0, 1.0), (2.0, 2.0), (0.1, 1.0)):
        weights = PartWeights(reasoning=reasoning, answer=answer)
        settings = SETTINGS.model_copy(update={"weights": weights, "epochs": 2})
        facts = train(table, tiny_model, tmp_path / f"{reasoning} {answer}", settings, Silent())
        curves[reasoning, answer] = [loss for _, loss, *_ in facts["curve"]]
    assert curves[1.0, 1.0] == pytest.approx(curves[2.0, 2.0], rel=1e-4)
    assert curves[0.1, 1.0] != pytest.approx(curves[1.0, 1.0], rel=1e-3)


def test_rows_that_are_too_long_are_left_out_and_counted_on_every_path(
    table: Path, tiny_model: Path, tmp_path: Path
) -> None:
    local = load_model(tiny_model)
    rendered = list(Renderer(local.tokenizer, "sft", local.end_ids).render_all(TRACES))
    lengths = [len(row.ids) for each in rendered for row in each.rows]
    limit = sorted(lengths)[-1] - 1
    rows, traces, skipped = rows_that_fit(rendered, limit)
    assert [len(row.ids) for row in rows] == [length for length in lengths if length <= limit]
    assert (traces, dict(skipped)) == (3, {"too_long": 1})
    settings = SETTINGS.model_copy(update={"max_tokens": limit})
    facts = train(table, tiny_model, tmp_path / "out", settings, Silent())
    assert (facts["rows"], facts["skipped"]) == (3, {"too_long": 1})
    shown = preview(table, tiny_model, settings, RowFilter(), 10)
    assert sum(row.is_too_long for each in shown for row in each.rows) == 1
    with pytest.raises(DataError, match="all 4 are longer than 8 tokens"):
        rows_that_fit(rendered, 8)


def test_rows_longer_than_the_students_context_are_left_out(tiny_model: Path, tmp_path: Path) -> None:
    write_traces(tmp_path / "t.parquet", [*TRACES, trace(user("a" * 400), assistant("b" * 200))])
    facts = train(tmp_path / "t.parquet", tiny_model, tmp_path / "out", SETTINGS, Silent())
    assert facts["skipped"] == {"too_long": 1}  # 600 tokens are fewer than max_tokens, and more than the model's 512


def test_the_students_folder_has_the_template_and_the_tokens_that_it_was_trained_with(
    table: Path, tiny_model: Path, tmp_path: Path
) -> None:
    train(table, tiny_model, tmp_path / "out", SETTINGS, Silent())
    before, after = load_model(tiny_model), load_model(tmp_path / "out" / "student")
    assert after.tokenizer.chat_template == before.tokenizer.chat_template
    assert after.tokenizer.get_vocab() == before.tokenizer.get_vocab()
    assert after.end_ids == before.end_ids
    for one in TRACES:
        rows = [Renderer(each.tokenizer, "sft", each.end_ids).render(one) for each in (before, after)]
        assert [row.ids.tolist() for row in rows[0]] == [row.ids.tolist() for row in rows[1]]


def test_a_student_whose_template_ends_turns_otherwise_learns_to_stop_there(
    table: Path, tiny_model: Path, tmp_path: Path
) -> None:
    """As a base model with a ChatML template: its EOS is another token, and generation would run past the turn."""
    shutil.copytree(tiny_model, tmp_path / "base")
    template = tmp_path / "base" / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|end|>", "<|system|>"))
    train(table, tmp_path / "base", tmp_path / "out", SETTINGS, Silent())
    before, after = load_model(tmp_path / "base"), load_model(tmp_path / "out" / "student")
    turn_end = before.tokenizer.convert_tokens_to_ids("<|system|>")
    assert turn_end not in before.end_ids
    assert after.end_ids == before.end_ids | {turn_end}
    (row,) = Renderer(after.tokenizer, "sft", after.end_ids).render(TRACES[0])
    assert row.ids[-1] == turn_end


def test_a_tokenizer_with_tokens_that_the_model_lacks_is_refused(table: Path, tiny_model: Path, tmp_path: Path) -> None:
    """As where somebody adds tags to the tokenizer alone: they could never be written."""
    shutil.copytree(tiny_model, tmp_path / "base")
    tokenizer = load_model(tmp_path / "base").tokenizer
    tokenizer.add_tokens(["2+3"])
    tokenizer.save_pretrained(tmp_path / "base")
    with pytest.raises(ModelError, match=r"has the token 265, and its model knows 265 tokens"):
        train(table, tmp_path / "base", tmp_path / "out", SETTINGS, Silent())


def test_both_ends_of_tied_embeddings_learn(tiny_model: Path, tmp_path: Path, table: Path) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    local = load_model(tiny_model)
    model = LlamaForCausalLM(LlamaConfig(**{**local.model.config.to_dict(), "tie_word_embeddings": True}))
    model.save_pretrained(tmp_path / "tied")
    local.tokenizer.save_pretrained(tmp_path / "tied")
    train(table, tmp_path / "tied", tmp_path / "out", SETTINGS, Silent())
    before: Any = load_model(tmp_path / "tied").model
    after: Any = load_model(tmp_path / "out" / "student").model
    assert after.get_input_embeddings().weight is after.get_output_embeddings().weight
    tag = local.tokenizer.convert_tokens_to_ids("</think>")
    assert not torch.equal(before.get_input_embeddings().weight[tag], after.get_input_embeddings().weight[tag])
