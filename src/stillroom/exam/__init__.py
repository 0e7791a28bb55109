"""The examination: every taker on the same held-out questions, with how sure the figures are."""
