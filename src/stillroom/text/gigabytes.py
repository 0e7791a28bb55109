"""An amount of memory in words."""

from __future__ import annotations


def gigabytes(number: float) -> str:
    """Bytes as `0.42 GB`, `1.9 GB`, `24 GB`; 1 GB is a thousand million bytes."""
    in_gb = number / 1e9
    return f"{in_gb:,.0f} GB" if in_gb >= 9.95 else f"{in_gb:.1f} GB" if in_gb >= 0.995 else f"{in_gb:.2f} GB"
