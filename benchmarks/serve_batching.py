"""What continuous batching is worth: tokens per second of one request at a time against many at once, over HTTP.

    python benchmarks/serve_batching.py [--model FOLDER] [--requests 32] [--rounds 5] [--threads 1]

Without --model, a Llama of 3.5 million random parameters (256 wide, 4 layers, 600 tokens) is made and served. Both
cases run in turn in every round, and the ratio is taken within a round: a busy machine slows both. Seconds are wall
clock.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from stillroom.client.settings import Endpoint
from stillroom.client.transport import Answered, Transport
from stillroom.serve.spawn import serving

PROMPT_WORDS = 60
REPLY_TOKENS = 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, help="folder of the model to serve")
    parser.add_argument("--requests", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = arguments.model or make_model(Path(folder))
        with serving({"model": model}, threads=arguments.threads, max_batch=arguments.requests) as base_url:
            asyncio.run(compare(base_url, arguments.requests, arguments.rounds))


async def compare(base_url: str, requests: int, rounds: int) -> None:
    endpoint = Endpoint(model="model", base_url=base_url)
    async with Transport(endpoint) as transport:
        await tokens_per_second(transport, requests)  # the first calls pay for what is made once
        rates = []
        for _ in range(rounds):
            rates.append((await tokens_per_second(transport, 1), await tokens_per_second(transport, requests)))
            print(f"1 request: {rates[-1][0]:7.0f} tokens/s   {requests} requests: {rates[-1][1]:7.0f} tokens/s")
    ratios = [many / one for one, many in rates]
    print(f"ratio: median {statistics.median(ratios):.1f}, lowest {min(ratios):.1f}")


async def tokens_per_second(transport: Transport, requests: int) -> float:
    """Completion tokens per second of this many requests sent together."""
    bodies = [
        {
            "model": "model",
            "messages": [{"role": "user", "content": " ".join(f"w{(7 * i + j) % 500}" for j in range(PROMPT_WORDS))}],
            "max_tokens": REPLY_TOKENS,
            "seed": i,
        }
        for i in range(requests)
    ]
    begun = time.perf_counter()
    answers = await asyncio.gather(
        *(transport.send(json.dumps(body).encode(), f"{place}") for place, body in enumerate(bodies))
    )
    seconds = time.perf_counter() - begun
    tokens = 0
    for answer in answers:
        assert isinstance(answer, Answered), answer
        assert answer.http_status == 200, answer.body
        tokens += json.loads(answer.body)["usage"]["completion_tokens"]
    return tokens / seconds


def make_model(folder: Path) -> Path:
    words = ["<end>", "<turn>", *(f"w{index}" for index in range(598))]
    inner = Tokenizer(models.WordLevel({word: index for index, word in enumerate(words)}, unk_token="w0"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        eos_token="<end>",
        chat_template="{% for message in messages %}{{ message.content }} <turn> {% endfor %}",
    )
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(words),
            hidden_size=256,
            intermediate_size=704,
            num_hidden_layers=4,
            num_attention_heads=4,
            max_position_embeddings=1024,
            bos_token_id=None,
            eos_token_id=0,
        )
    )
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
