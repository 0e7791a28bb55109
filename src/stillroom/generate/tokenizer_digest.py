"""Which tokenizer it is: two with one digest cut the same text into the same tokens, as far as a look at both can say.

Of what the tokenizer does, not of its file: saving it again, or loading it from GGUF, writes other bytes.
"""

from __future__ import annotations

from transformers import PreTrainedTokenizerBase

from stillroom.base.canonical import digest
from stillroom.generate.prompt import encode

_TEXTS = (
    "The quick brown fox jumps over 13 lazy dogs, doesn't it? It's 1,234,567.89 dollars (about 50%).",
    "def add(a: int, b=3):\n\treturn a + b  # naïve\n\n\n    <think>\nx**2 != y\n</think>\n\n\\frac{1}{2}",
    " leading,  double   and trailing space \r\nÀ la carte; straße; ﬁ ligature; e\u0301 – “quoted” …",
    "Привет, мир! 你好，世界。 こんにちは 안녕하세요 مرحبا ☕🙂👩‍👩‍👧 ٣ ½",
)


def tokenizer_digest(tokenizer: PreTrainedTokenizerBase) -> str:
    """`sha256:` and the digest of its vocabulary, and of the tokens of some texts that tokenizers cut differently."""
    return digest([sorted(tokenizer.get_vocab().items()), [encode(tokenizer, text) for text in _TEXTS]])
