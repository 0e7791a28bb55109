"""A student exported as GGUF, in llama.cpp through llama-cpp-python, against the same student in transformers.

    python -m benchmarks.gguf_agreement --student FOLDER [--precision f16] [--prompts 20] [--tokens 64]

FOLDER is a Hugging Face folder, or a .gguf file, whose weights are dequantised and exported anew. Each question goes
through the chat template; both write greedily, transformers in float32. Says for how many questions the replies are the
same token by token, and where they part, how far apart transformers saw the two tokens: less than a few hundredths of a
logit is rounding. llama-cpp-python is compiled, once, in an environment of its own below benchmarks/.peers.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from stillroom.base.progress import Silent
from stillroom.export.gguf import export_gguf
from stillroom.export.gguf_check import token_gaps
from stillroom.generate.generator import Generator
from stillroom.generate.load import LocalModel, load_model
from stillroom.generate.prompt import conversation_text, encode
from stillroom.generate.sampling import Sampling

PEER = Path(__file__).parent / ".peers" / "llama-cpp"
QUESTIONS = [
    f"What is {first} {sign} {7 * first % 31 + 2}?" for first in (13, 24, 57) for sign in ("plus", "times")
] + [
    "Name three rivers of Europe.",
    "Why is the sky blue?",
    "Write a line of Python that sums the numbers from 1 to 10.",
    "Translate into French: The cat sleeps on the chair.",
    "A train leaves at 9:40 and arrives at 11:05. How long does it take?",
    "What is the capital of Canada?",
    "Give me a recipe for pancakes.",
    "Explain what a prime number is.",
    "Who wrote Hamlet?",
    "Sort these words: pear, apple, fig.",
    "What do bees do in winter?",
    "Is 91 a prime number? Think step by step.",
    "Write a short poem about the sea.",
    "How many minutes are there in 3.5 hours?",
]
WRITE = """
import json, sys
from llama_cpp import Llama
order = json.load(sys.stdin)
model = Llama(order["file"], n_ctx=1024, n_threads=order["threads"], verbose=False)
for prompt in order["prompts"]:
    written = []
    for token in model.generate(prompt, temp=0.0, repeat_penalty=1.0):
        written.append(int(token))
        if len(written) == order["tokens"] or token in order["ends"]:
            break
    print(json.dumps(written), flush=True)
print(json.dumps([model.tokenize(text.encode(), add_bos=False, special=True) for text in order["texts"]]))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--student", type=Path, required=True)
    parser.add_argument("--precision", choices=("f32", "f16", "bf16", "q8_0"), default="f16")
    parser.add_argument("--prompts", type=int, default=len(QUESTIONS))
    parser.add_argument("--tokens", type=int, default=64)
    arguments = parser.parse_args()
    install()
    local = load_model(arguments.student)
    texts = [
        conversation_text(local.tokenizer, [{"role": "user", "content": question}])
        for question in QUESTIONS[: arguments.prompts]
    ]
    with tempfile.TemporaryDirectory() as folder:
        student = arguments.student
        if student.suffix == ".gguf":
            student = Path(folder) / "student"
            local.model.save_pretrained(student)
            local.tokenizer.save_pretrained(student)
        file = Path(folder) / "student.gguf"
        print(json.dumps(export_gguf(student, file, precision=arguments.precision, progress=Silent())))
        compare(local, file, texts, arguments.tokens)


def install() -> None:
    """llama-cpp-python, where it is not there yet: some ten minutes of compiling on two cores."""
    if not (PEER / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
    subprocess.run([str(PEER / "bin" / "python"), "-m", "pip", "install", "-q", "llama-cpp-python"], check=True)


def compare(local: LocalModel, file: Path, texts: list[str], tokens: int) -> None:
    prompts = [encode(local.tokenizer, text) for text in texts]
    order = {"file": str(file), "prompts": prompts, "texts": texts, "tokens": tokens, "ends": sorted(local.end_ids)}
    done = subprocess.run(
        [str(PEER / "bin" / "python"), "-c", WRITE],
        input=json.dumps(order | {"threads": torch.get_num_threads()}),
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    *theirs, read = (json.loads(line) for line in done.stdout.splitlines())
    generator = Generator(local, max_batch=1)
    ours = [generator.submit(prompt, Sampling(temperature=0, max_tokens=tokens)).result() for prompt in prompts]
    generator.close()
    print(f"prompts read as the same tokens: {sum(map(list.__eq__, read, prompts))} of {len(prompts)}")
    print(
        f"replies of up to {tokens} tokens that are the same: {sum(map(list.__eq__, ours, theirs))} of {len(prompts)}"
    )
    for text, prompt, one, other in zip(texts, prompts, ours, theirs, strict=True):
        if one != other:
            place = next(i for i, (a, b) in enumerate(zip([*one, -1], [*other, -1], strict=False)) if a != b)
            gap = token_gaps(local, prompt, other)[place]
            print(f"  token {place + 1} of {text!r}: {gap:.4f} logits apart")
    gaps = [gap for prompt, other in zip(prompts, theirs, strict=True) for gap in token_gaps(local, prompt, other)]
    print(f"tokens of llama.cpp that are transformers' best: {sum(gap == 0 for gap in gaps)} of {len(gaps)}")
    print(f"largest gap to transformers' best: {max(gaps):.4f} logits")


if __name__ == "__main__":
    main()
