"""stillroom: distil language models openly, and serve them with terms, permits and receipts."""

__version__ = "0.1.0"
