"""Which texts a receipt is not over, for tests."""

from __future__ import annotations

from stillroom.base.receipt import Digest, Label, Receipt, Said, reply_digests, salted_digest, text_digest


def differing_texts(
    receipt: Receipt,
    salt: bytes,
    choice: int,
    said: Said,
    *,
    prompt: bytes | None = None,
    user: str | None = None,
    settings: bytes | None = None,
) -> list[Label]:
    """Which of the texts are not those that the receipt is over. `choice` counts from 0; None is not compared.

    `prompt` is canonical JSON, as `settings` is: see `Receipt.prompt`.
    """
    if not 0 <= choice < len(receipt.replies):
        return ["answer"]
    signed = receipt.replies[choice]
    found = reply_digests(salt, said)
    differing: list[Label] = []
    if prompt is not None and salted_digest(salt, "prompt", prompt) != receipt.prompt:
        differing.append("prompt")
    if user is not None and text_digest(salt, "user", user) != receipt.user:
        differing.append("user")
    if settings is not None and salted_digest(salt, "settings", settings) != receipt.settings:
        differing.append("settings")
    pairs: tuple[tuple[Label, Digest | None], ...] = (
        ("reasoning", signed.reasoning),
        ("answer", signed.answer),
        ("tool_calls", signed.tool_calls),
    )
    return differing + [label for label, digest in pairs if found[label] != digest]
