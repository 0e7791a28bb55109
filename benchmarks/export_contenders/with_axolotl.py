"""The tokens that Axolotl prepares from an exported folder: run by benchmarks/export_agreement.py.

    with_axolotl.py EXPORT STUDENT OUT

The folder's axolotl.yaml is what its commands would be given, with a student and what a config can't do without.
"""

import json
import os
import sys
from pathlib import Path

import yaml

os.environ["AXOLOTL_DO_NOT_TRACK"] = "1"

from axolotl.cli.config import load_cfg  # type: ignore[import-not-found]
from axolotl.common.datasets import load_datasets  # type: ignore[import-not-found]


def main() -> None:
    export, student, out = (Path(argument).resolve() for argument in sys.argv[1:])
    os.chdir(export)  # its paths are taken from the folder one is in
    config = yaml.safe_load(Path("axolotl.yaml").read_text(encoding="utf-8"))
    config.pop("test_datasets", None)
    config |= {
        "base_model": str(student),
        "sequence_len": 100_000,
        "micro_batch_size": 1,
        "gradient_accumulation_steps": 1,
        "num_epochs": 1,
        "learning_rate": 1e-4,
        "optimizer": "adamw_torch",
        "output_dir": str(out.with_suffix(".axolotl")),
        "dataset_prepared_path": str(out.with_suffix(".prepared")),
        "shuffle_merged_datasets": False,
        "dataset_processes": 1,
    }
    path = out.with_suffix(".yaml")
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    rows = load_datasets(cfg=load_cfg(str(path))).train_dataset
    with out.open("w") as file:
        for row in rows:
            file.write(json.dumps({"ids": list(row["input_ids"]), "labels": list(row["labels"])}) + "\n")


main()
