"""The tokens that LLaMA-Factory prepares from an exported folder: run by benchmarks/export_agreement.py.

    with_llama_factory.py EXPORT STUDENT OUT [TEMPLATE]

The folder's llama_factory.yaml is what its command would be given, with a student and a template; without one, it reads
the student's own chat template.
"""

import json
import os
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

import yaml

# Their wheels are built for the PyTorch of CUDA, and load with no other. Neither pictures nor sounds are read here.
sys.modules["torchvision"] = None  # type: ignore[assignment]
sys.modules["torchaudio"] = ModuleType("torchaudio")
sys.modules["torchaudio"].__spec__ = ModuleSpec("torchaudio", None)

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer  # type: ignore[import-not-found]  # noqa: E402
from llamafactory.hparams import get_train_args  # type: ignore[import-not-found]  # noqa: E402
from llamafactory.model import load_tokenizer  # type: ignore[import-not-found]  # noqa: E402


def main() -> None:
    export, student, out = (Path(argument).resolve() for argument in sys.argv[1:4])
    os.chdir(export)
    config = yaml.safe_load(Path("llama_factory.yaml").read_text(encoding="utf-8"))
    config.pop("eval_dataset", None)
    config |= {
        "model_name_or_path": str(student),
        "stage": "sft",
        "do_train": True,
        "finetuning_type": "full",
        "output_dir": str(out.with_suffix(".factory")),
        "cutoff_len": 100_000,
        "overwrite_cache": True,
        "report_to": "none",
    }
    if sys.argv[4:]:
        config["template"] = sys.argv[4]
    model, data, training, _, _ = get_train_args(config)
    module = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(module["tokenizer"], data)
    rows = get_dataset(template, model, data, training, stage="sft", **module)["train_dataset"]
    with out.open("w") as file:
        for row in rows:
            file.write(json.dumps({"ids": row["input_ids"], "labels": row["labels"]}) + "\n")


main()
