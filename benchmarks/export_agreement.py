"""Do other trainers train, from an exported data set, the tokens that stillroom trains?

    python benchmarks/export_agreement.py --gguf SmolLM2-135M-Instruct.Q4_1.gguf --gsm8k gsm8k_train.jsonl [--rows 60]

Makes traces of several kinds from worked word problems, exports them, has each tool load the folder with its own code
and its own config file, and compares what it would train with what stillroom renders for the same student: the tokens
of the prompt, those of the reply, and which of them are trained. What comes after the last trained token has no effect
and does not count. The students are SmolLM2-135M-Instruct's tokenizer with its own chat template, and with
one that behaves as Qwen3's does. Each tool gets an environment of its own.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.ask_contenders.environments import environment
from transformers import LlamaConfig, PreTrainedTokenizerBase

from stillroom.base.records import Message, Trace
from stillroom.export.dataset import export_dataset
from stillroom.export.form import About, part_of
from stillroom.export.settings import DatasetTarget
from stillroom.generate.load import load_tokenizer
from stillroom.run_folder import SILENT
from stillroom.store.tables import write_traces
from stillroom.train.render import Renderer

HERE = Path(__file__).parent
QWEN3 = HERE.parent / "tests" / "data" / "chat_templates" / "qwen3.jinja"
TORCH = "torch>=2.6,<2.14"
REQUIREMENTS = {
    "trl": ("trl==1.16.0",),  # the same environment as that of train_speed.py
    "axolotl": ("axolotl==0.19.0", TORCH),
    "llamafactory": ("llamafactory==0.9.5", TORCH),
}
TOOL = {
    "type": "function",
    "function": {
        "name": "calculate",
        "description": "Work out a sum.",
        "parameters": {"type": "object", "properties": {"sum": {"type": "string"}}, "required": ["sum"]},
    },
}
ODD = "\u2028\x85 \U0001f9ee \u202e e\u0301 'é' \"中文\" <b>&amp;</b> {{content}}\t"


@dataclass(frozen=True, slots=True)
class Trained:
    """Tokens up to the last one that is trained, and whether each of them is."""

    ids: list[int]
    trained: list[bool]


@dataclass(frozen=True, slots=True)
class Setting:
    """One tool as it is used for one student."""

    tool: str
    to: DatasetTarget
    script: str
    arguments: tuple[str, ...] = ()


OWN_TEMPLATE = [
    Setting("trl", "trl", "with_trl.py"),
    Setting("axolotl", "axolotl", "with_axolotl.py"),
    Setting("llamafactory", "llama-factory", "with_llama_factory.py"),
]
FOR_QWEN3 = [
    *OWN_TEMPLATE[:2],
    Setting("llamafactory", "llama-factory", "with_llama_factory.py", ("qwen3",)),
    Setting("llamafactory", "llama-factory", "with_llama_factory.py", ("qwen3_nothink",)),
]


def traces_of(path: Path, count: int) -> dict[str, list[Trace]]:
    """By kind: `count` traces each."""
    problems = []
    for line in path.read_text(encoding="utf-8").splitlines()[: count + 1]:
        row = json.loads(line)
        worked, _, answer = row["answer"].rpartition("####")
        sums = re.findall(r"<<(.+?)=(.+?)>>", worked) or [("1+1", "2")]
        problems.append((row["question"], re.sub(r"<<.*?>>", "", worked).strip(), answer.strip(), sums))
    kinds: dict[str, list[Trace]] = {}
    pairs = itertools.pairwise(problems)
    for (question, worked, answer, sums), (question_2, worked_2, answer_2, _) in pairs:
        asked = Message(role="user", content=question)
        reply = Message(role="assistant", content=answer, reasoning=worked)
        call = {"type": "function", "function": {"name": "calculate", "arguments": {"sum": sums[0][0]}}}
        turns = {
            "with reasoning": [asked, reply],
            "without reasoning": [asked, Message(role="assistant", content=answer)],
            "with a system message": [Message(role="system", content="Answer with a number."), asked, reply],
            "two replies": [
                asked,
                reply,
                Message(role="user", content=question_2),
                Message(role="assistant", content=answer_2, reasoning=worked_2),
            ],
            "odd characters": [
                Message(role="user", content=question + ODD),
                Message(role="assistant", content=answer + ODD, reasoning=ODD + worked),
            ],
            "a call, and a reply to its result": [
                asked,
                Message(role="assistant", content="", reasoning="I need a sum.", tool_calls=(call,)),
                Message(role="tool", content=sums[0][1]),
                reply,
            ],
        }
        for kind, messages in turns.items():
            tools = (TOOL,) if "call" in kind else None
            row_id = f"{kind} {len(kinds.get(kind, ()))}"
            kinds.setdefault(kind, []).append(
                Trace(question_id=row_id, messages=tuple(messages), source="gsm8k", tools=tools)
            )
    return kinds


def rendered(tokenizer: PreTrainedTokenizerBase, end_ids: frozenset[int], traces: list[Trace]) -> list[Trained]:
    """What stillroom trains: each reply behind its prompt."""
    replies = []
    for each in Renderer(tokenizer, "sft", end_ids).render_all(traces):
        if each.problem is not None:
            raise each.problem
        for row in each.rows:
            for reply in row.replies:
                trained = [False] * reply.start + [True] * (reply.stop - reply.start)
                replies.append(Trained(row.ids[: reply.stop].tolist(), trained))
    return replies


def prepared(setting: Setting, export: Path, student: Path, out: Path) -> list[Trained]:
    """What the tool would train."""
    peer = environment(setting.tool, REQUIREMENTS[setting.tool], counts_tokens=False)
    script = HERE / "export_contenders" / setting.script
    command = [str(peer.python), str(script), str(export), str(student), str(out), *setting.arguments]
    alone = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(out.parent / "hf"), "CUDA_VISIBLE_DEVICES": ""}
    done = subprocess.run(command, env=os.environ | alone, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{setting.tool} ended with {done.returncode}:\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}")
    rows = []
    for line in out.read_text().splitlines():
        row = json.loads(line)
        trained = [label != -100 for label in row["labels"]]
        end = max((place for place, is_trained in enumerate(trained, 1) if is_trained), default=0)
        rows.append(Trained(row["ids"][:end], trained[:end]))
    return rows


def difference(tokenizer: PreTrainedTokenizerBase, ours: Trained, theirs: Trained) -> str:
    """In words; `the same` where there is none."""
    if ours == theirs:
        return "the same"
    length = len(ours.ids)
    if theirs.ids[:length] == ours.ids and theirs.trained[:length] == ours.trained:
        return f"the same, and {tokenizer.decode(theirs.ids[length:])!r} after the end token"
    if theirs.ids == ours.ids:
        pairs = list(zip(ours.trained, theirs.trained, strict=True))
        less = tokenizer.decode([i for i, (a, b) in zip(ours.ids, pairs, strict=True) if a and not b])
        more = tokenizer.decode([i for i, (a, b) in zip(ours.ids, pairs, strict=True) if b and not a])
        return f"the same tokens, of which {less!r} is not trained and {more!r} is"
    shorter = min(length, len(theirs.ids))
    at = next((place for place in range(shorter) if ours.ids[place] != theirs.ids[place]), shorter)
    where = "reply" if at < length and ours.trained[at] else "prompt"
    wanted, found = (tokenizer.decode(each.ids[at : at + 8]) for each in (ours, theirs))
    return f"another {where}: {found!r} for {wanted!r}"


def compare(
    setting: Setting,
    tokenizer: PreTrainedTokenizerBase,
    end_ids: frozenset[int],
    student: Path,
    kinds: dict[str, list[Trace]],
) -> Iterator[tuple[str, Counter[str]]]:
    """For each kind of trace, how many rows agree, and in what the others differ."""
    about = About(name="agreement", teacher=None, terms=None, student=None)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_traces(folder / "traces.parquet", [trace for traces in kinds.values() for trace in traces])
        facts = export_dataset(folder, setting.to, folder / "export", about, "keep", SILENT)
        assert not facts["splits"]["train"]["left_out"]
        theirs = prepared(setting, folder / "export", student, folder / "out.jsonl")
    expected = [
        (part_of(traces[0]), kind, reply)
        for kind, traces in kinds.items()
        for reply in rendered(tokenizer, end_ids, traces)
    ]
    if setting.to != "trl":  # rows with tools come from files of their own, after the others
        expected.sort(key=lambda each: each[0])
    if len(theirs) != len(expected):
        raise SystemExit(f"{setting.tool} has {len(theirs)} rows, and {len(expected)} were exported.")
    found: dict[str, Counter[str]] = {}
    for (_, kind, ours), their_row in zip(expected, theirs, strict=True):
        found.setdefault(kind, Counter())[difference(tokenizer, ours, their_row)] += 1
    yield from found.items()


def students(gguf: Path, folder: Path) -> Iterator[tuple[str, Path]]:
    """Folders with a tokenizer and a config, as far as the tools look at them before they train."""
    tokenizer, end_ids, _ = load_tokenizer(gguf)
    template = tokenizer.chat_template
    for name, text in (("SmolLM2's own template", template), ("a template like Qwen3's", QWEN3.read_text("utf-8"))):
        place = folder / re.sub(r"\W+", "-", name)
        tokenizer.chat_template = text
        tokenizer.save_pretrained(place)
        config: dict[str, Any] = {
            "hidden_size": 8,
            "intermediate_size": 8,
            "num_hidden_layers": 1,
            "num_attention_heads": 1,
        }
        LlamaConfig(vocab_size=len(tokenizer), eos_token_id=min(end_ids), **config).save_pretrained(place)
        (place / "model.safetensors").touch()  # load_tokenizer asks whether there are weights; nobody reads them
        yield name, place


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gguf", type=Path, required=True)
    parser.add_argument("--gsm8k", type=Path, required=True)
    parser.add_argument("--rows", type=int, default=60, help="Of each kind.")
    parser.add_argument("--tools", nargs="*", default=list(REQUIREMENTS), choices=list(REQUIREMENTS))
    arguments = parser.parse_args()
    kinds = traces_of(arguments.gsm8k, arguments.rows)
    with tempfile.TemporaryDirectory() as name:
        for student, place in students(arguments.gguf, Path(name)):
            tokenizer, end_ids, _ = load_tokenizer(place)
            is_own = "own" in student
            # SmolLM2's template has no place for tools: stillroom refuses such a trace.
            known = {kind: traces for kind, traces in kinds.items() if not (is_own and traces[0].tools)}
            for setting in OWN_TEMPLATE if is_own else FOR_QWEN3:
                if setting.tool in arguments.tools:
                    print(f"\n{' '.join((REQUIREMENTS[setting.tool][0], *setting.arguments))}, {student}", flush=True)
                    for kind, found in compare(setting, tokenizer, end_ids, place, known):
                        show(kind, found)


def show(kind: str, found: Counter[str]) -> None:
    total = found.total()
    same = found.pop("the same", 0)
    print(f"  {kind:<34} {same:>4} of {total:>4} the same", flush=True)
    for words, count in found.most_common(3):
        print(f"  {'':<34} {count:>4} {words}")
    if len(found) > 3:
        print(f"  {'':<34} {found.total() - sum(n for _, n in found.most_common(3)):>4} differ in other words")


if __name__ == "__main__":
    main()
