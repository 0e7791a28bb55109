"""The tokens that TRL's SFTTrainer prepares from an exported folder: run by benchmarks/export_agreement.py.

    with_trl.py EXPORT STUDENT OUT

The trainer gets a model of one layer; its own preparation makes ids and labels, which OUT gets, a line each.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from datasets import load_dataset  # type: ignore[import-untyped]
from transformers import AutoTokenizer, LlamaConfig, LlamaForCausalLM
from trl import SFTConfig, SFTTrainer  # type: ignore[import-not-found]


def main() -> None:
    export, student, out = map(Path, sys.argv[1:])
    tokenizer = AutoTokenizer.from_pretrained(student)
    small: dict[str, Any] = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    model = LlamaForCausalLM(LlamaConfig(vocab_size=len(tokenizer), **small))
    with tempfile.TemporaryDirectory() as folder:
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(output_dir=folder, max_length=None, bf16=False, use_cpu=True, report_to=[]),
            train_dataset=load_dataset(str(export))["train"],
            processing_class=tokenizer,
        )
    with out.open("w") as file:
        for row in trainer.train_dataset:
            file.write(json.dumps({"ids": row["input_ids"], "labels": row["labels"]}) + "\n")


main()
