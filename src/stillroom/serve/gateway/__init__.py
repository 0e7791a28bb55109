"""The calls themselves: who asks, what it may cost, which server answers, and what is written down of it."""
