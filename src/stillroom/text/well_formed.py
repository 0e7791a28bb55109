"""Text that can be written as UTF-8, whatever came."""

from __future__ import annotations


def well_formed(text: str) -> str:
    """Without halves of surrogate pairs: JSON may hold them, and a stream that is cut in an emoji leaves one.

    Two halves that stand together become the one character that they are of.
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", errors="surrogatepass").decode("utf-16-le", errors="replace")
    return text
