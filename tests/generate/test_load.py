"""Loading a folder: what is accepted, and what is refused with which words."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import gguf
import pytest
import torch
from safetensors.torch import load_file, save_file

from stillroom.base.errors import ModelError
from stillroom.generate.load import load_model, load_tokenizer


def test_float16_on_disk_is_float32_in_memory(tiny_model: Path) -> None:
    assert {tensor.dtype for tensor in load_file(tiny_model / "model.safetensors").values()} == {torch.float16}
    local = load_model(tiny_model)
    assert {parameter.dtype for parameter in local.model.parameters()} == {torch.float32}
    assert not local.model.training
    assert local.context == 512
    assert local.end_ids == {local.tokenizer.eos_token_id}


def test_end_ids_come_from_every_place(tiny_model: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_model, tmp_path)
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [7, 8]}))
    local = load_model(folder)
    assert local.end_ids == {7, 8, local.tokenizer.eos_token_id}
    assert load_tokenizer(folder)[1] == local.end_ids


def _no_config(folder: Path) -> None:
    (folder / "config.json").unlink()


def _broken_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _config_of_nothing(folder: Path) -> None:
    (folder / "config.json").write_text('{"peft_type": "LORA"}')


def _unknown_type(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "perpetuum_mobile"}')


def _pickle(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def _no_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def _damaged_weights(folder: Path) -> None:
    data = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(data[: len(data) // 2])


def _lacking_weights(folder: Path) -> None:
    tensors = load_file(folder / "model.safetensors")
    del tensors["model.layers.1.mlp.up_proj.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def _other_width(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 99}))


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()


def _damaged_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{}")


def _no_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_no_config, "no config.json"),
        (_broken_config, "is not JSON"),
        (_config_of_nothing, "model_type"),
        (_unknown_type, "perpetuum_mobile"),
        (_pickle, "as pickle, which can run code"),
        (_no_weights, r"no weights \(\*.safetensors\)"),
        (_damaged_weights, "could not be loaded"),
        (_lacking_weights, r"do not fit its config: model.layers.1.mlp.up_proj.weight"),
        (_other_width, r"do not fit its config: model.layers.0.mlp.down_proj.weight, .* and 3 more"),
        (_no_tokenizer, "no tokenizer.json"),
        (_damaged_tokenizer, "could not be loaded"),
        (_no_template, "no chat template"),
    ],
)
def test_a_folder_that_is_not_whole_is_refused(
    tiny_model: Path, tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    folder = _copy(tiny_model, tmp_path)
    spoil(folder)
    with pytest.raises(ModelError, match=words) as caught:
        load_model(folder)
    assert str(folder) in caught.value.what
    assert caught.value.remedy


def test_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="There is no model folder at"):
        load_model(tmp_path / "absent")


def test_code_in_the_folder_is_not_run(tiny_model: Path, tmp_path: Path) -> None:
    folder = _copy(tiny_model, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    config |= {"model_type": "evil", "auto_map": {"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"}}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "evil.py").write_text(f"open({str(tmp_path / 'was_here')!r}, 'w').close()")
    with pytest.raises(ModelError, match="could not be loaded"):
        load_model(folder)
    assert not (tmp_path / "was_here").exists()


def test_a_gguf_file_is_the_same_model(tiny_model: Path, tmp_path: Path) -> None:
    file = _write_gguf(tiny_model, tmp_path / "tiny.gguf")
    expected = load_model(tiny_model)
    ids_BT = torch.tensor([expected.tokenizer("hello there")["input_ids"]])
    with torch.inference_mode():
        expected_logits_BTV = expected.model(ids_BT).logits
        for path in (file, tmp_path):
            local = load_model(path)
            assert torch.allclose(local.model(ids_BT).logits, expected_logits_BTV, atol=1e-4)
            assert local.tokenizer("hello there")["input_ids"] == ids_BT.tolist()[0]
            assert local.tokenizer.chat_template == expected.tokenizer.chat_template
            assert local.end_ids == expected.end_ids
            assert local.context == 512
            tokenizer, end_ids, context = load_tokenizer(path)
            assert tokenizer.get_vocab() == local.tokenizer.get_vocab()
            assert (end_ids, context) == (local.end_ids, local.context)


def test_smollm_in_a_gguf_file_splits_digits_before_it_looks_at_blanks(tiny_model: Path, tmp_path: Path) -> None:
    for pre, pieces in (("smollm", ["x", "ĠĠ", "1", "0"]), ("gpt-2", ["x", "Ġ", "Ġ10"])):
        tokenizer, _, _ = load_tokenizer(_write_gguf(tiny_model, tmp_path / f"{pre}.gguf", pre=pre))
        split = tokenizer.backend_tokenizer.pre_tokenizer.pre_tokenize_str("x  10")
        assert [piece for piece, _ in split] == pieces


def test_several_gguf_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match=r"several GGUF files: a.gguf, b.gguf"):
        load_model(tmp_path)


def test_a_damaged_gguf_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.gguf").write_bytes(b"GGUF\x03\x00\x00\x00")
    with pytest.raises(ModelError, match="could not be loaded"):
        load_model(tmp_path)


def _copy(model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(model, tmp_path / "copy"))


def _write_gguf(model: Path, file: Path, *, pre: str = "gpt-2") -> Path:
    """The tiny Llama as llama.cpp would store it."""
    local = load_model(model)
    config, tokenizer = local.model.config, local.tokenizer
    writer = gguf.GGUFWriter(file, "llama")
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_vocab_size(config.vocab_size)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokenizer.convert_ids_to_tokens(list(range(config.vocab_size))))
    added = tokenizer.added_tokens_decoder
    writer.add_token_types(
        [gguf.TokenType.CONTROL if index in added else gguf.TokenType.NORMAL for index in range(config.vocab_size)]
    )
    writer.add_token_merges(["h e", "t he"])
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for name, tensor in local.model.state_dict().items():
        heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}.get(name.split(".")[-2])
        if heads:
            # llama.cpp rotates neighbouring pairs, transformers the two halves of a head.
            tensor = tensor.view(heads, 2, -1, tensor.shape[-1]).transpose(1, 2).reshape(tensor.shape)
        stored = names.get_name(name, try_suffixes=(".weight",))
        assert stored is not None
        writer.add_tensor(stored, tensor.numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return file
