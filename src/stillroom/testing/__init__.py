"""Doubles for the outermost boundary: a teacher that misbehaves on request, over real HTTP, for our tests and yours."""
