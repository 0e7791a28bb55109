"""Would embeddings tell served from sealed replies better than the text measures that there are?

    python -m benchmarks.probe_embeddings --encoder FOLDER --students FOLDER [--questions 300] [--samples 4]

Each text becomes the mean of a model's hidden states over its tokens, less the mean of all siblings, at length one; an
answer is nearer to the sibling with the larger cosine. `--students` is what `benchmarks.probe_students.smollm2` makes;
`--encoder` any causal model's folder, such as FOLDER/models/base there. N pairs, S texts of each, L layers, D width.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from benchmarks.probe_students.suspects import Numbers, read_answers, texts_of
from numpy.typing import NDArray

from stillroom.generate.load import LocalModel, load_model
from stillroom.probe.measures import MEASURES, PRIMARY
from stillroom.probe.swap_test import swap_test
from stillroom.store.files import read_object
from stillroom.store.siblings import Opening, Pair, read_rows

BATCH = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--encoder", type=Path, required=True)
    parser.add_argument("--students", type=Path, required=True)
    parser.add_argument("--questions", type=int, default=300)
    parser.add_argument("--samples", type=int, default=4, help="answers to each question")
    arguments = parser.parse_args()
    local = load_model(arguments.encoder)
    local.tokenizer.padding_side = "right"
    print("| student | measure | nearer to served | p | beside further draws: nearer to served | p |")
    print("|---|---|---|---|---|---|")
    for facts in sorted(arguments.students.glob("*/facts.json")):
        if read_object(facts)["kind"] == "guilty":
            tell(facts.parent, local, arguments.questions, arguments.samples)


def tell(folder: Path, local: LocalModel, questions: int, samples: int) -> None:
    pairs = read_rows(folder / "pairs.parquet", Pair)[:questions]
    coin_of = {opening.pair_id: opening.coin for opening in read_rows(folder / "openings.parquet", Opening)}
    coins_N = np.array([coin_of[pair.pair_id] for pair in pairs], dtype=np.int8)
    said = texts_of(read_answers(folder, "answers_t07", samples))
    further = texts_of(read_answers(folder, "thirds"))
    primary = MEASURES[PRIMARY]
    rows = {PRIMARY: (primary.differences(pairs, said), primary.differences(pairs, said, references=further))}
    siblings_LND = embeddings(local, [text for pair in pairs for text in (pair.first, pair.second)])
    answers_LND = embeddings(local, [text for pair in pairs for text in said[pair.question_id]])
    further_LND = embeddings(local, [text for pair in pairs for text in further[pair.question_id]])
    layers = len(siblings_LND)
    for layer in (0, layers // 2, layers - 1):
        plain_N = nearer(siblings_LND[layer], answers_LND[layer])
        rows[f"embeddings, layer {layer} of {layers - 1}"] = (
            plain_N,
            plain_N - nearer(siblings_LND[layer], further_LND[layer]),
        )
    for name, differences in rows.items():
        cells = [
            f"{test.nearer_served} of {test.informative} | {test.p_value:.1g}"
            for test in (swap_test(each_N, coins_N, np.arange(len(pairs))) for each_N in differences)
        ]
        print(f"| {folder.name} | {name} | {' | '.join(cells)} |", flush=True)


@torch.inference_mode()
def embeddings(local: LocalModel, texts: Sequence[str]) -> NDArray[np.float32]:
    """texts_LND: the mean hidden state of each text, from the word vectors (layer 0) to the last layer."""
    order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
    pooled: dict[int, NDArray[np.float32]] = {}
    for start in range(0, len(order), BATCH):
        places = order[start : start + BATCH]
        batch = local.tokenizer([texts[place] or " " for place in places], padding=True, return_tensors="pt")
        states = local.model.base_model(**batch, output_hidden_states=True).hidden_states
        mask_BT1 = batch["attention_mask"][..., None]
        mean_LBD = torch.stack([(state_BTD * mask_BT1).sum(1) / mask_BT1.sum(1) for state_BTD in states])
        pooled.update(zip(places, mean_LBD.transpose(0, 1).float().numpy(), strict=True))
    return np.stack([pooled[place] for place in range(len(texts))], axis=1)


def nearer(siblings_ND: NDArray[np.float32], said_ND: NDArray[np.float32]) -> Numbers:
    """difference_N: how much larger the cosine with the first sibling is than with the second, the mean over texts."""
    centre_D = siblings_ND.mean(axis=0)

    def unit(each_ND: NDArray[np.float32]) -> NDArray[np.float32]:
        centred_ND = each_ND - centre_D
        return np.asarray(centred_ND / np.linalg.norm(centred_ND, axis=-1, keepdims=True))

    pairs_N2D = unit(siblings_ND).reshape(-1, 2, siblings_ND.shape[-1])
    said_NSD = unit(said_ND).reshape(len(pairs_N2D), -1, siblings_ND.shape[-1])
    cosine_N2 = np.einsum("npd,nsd->np", pairs_N2D, said_NSD) / said_NSD.shape[1]
    return np.asarray(cosine_N2[:, 0] - cosine_N2[:, 1], dtype=np.float64)


if __name__ == "__main__":
    main()
