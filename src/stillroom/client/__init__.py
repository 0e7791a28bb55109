"""Talking to a model over HTTP: requests and their keys, reading replies, retries, pace, and the engine that asks."""
