"""Findings kept for people to decide on: the store, the page, what is told to whom."""
