"""What refusals say by their number and by their size."""

from __future__ import annotations

import math

from stillroom.client.learned_rate import Accepted

TOO_MANY = 6.0
_FORGIVEN = 0.04
"""Share of refused calls from which on the score rises."""
_LARGER = 0.4
"""By how much the logarithm of refused calls' tokens is above that of all calls', where large calls are refused."""
_FEWEST_REFUSED, _REFUSED_SMOOTHED_OVER, _SENT_SMOOTHED_OVER = 8, 20, 100


class RefusalScore:
    """Each refusal adds 1, each call accepted takes `_FORGIVEN` away, and 0 is the least (CUSUM, Page 1954).

    Calls of known size count by it. Where refused calls are the large ones, the server counts tokens, not calls.
    """

    def __init__(self) -> None:
        self.value = 0.0
        self.mean_tokens = 0.0
        """Of calls, lately; 0: not known."""
        self._accepted = Accepted(-math.inf, 0, 0)
        self._log_sent = self._log_refused = 0.0
        self._refused = 0

    @property
    def are_large_refused(self) -> bool:
        return self._refused >= _FEWEST_REFUSED and self._log_refused - self._log_sent > _LARGER

    def sent(self, tokens: int) -> None:
        """A call of known size, above 0."""
        is_first = not self.mean_tokens
        self.mean_tokens += (tokens - self.mean_tokens) / (1 if is_first else _SENT_SMOOTHED_OVER)
        self._log_sent += (math.log(tokens) - self._log_sent) / (1 if is_first else _SENT_SMOOTHED_OVER)

    def refused(self, tokens: int) -> None:
        """Any refusal."""
        if tokens:
            self._refused += 1
            self._log_refused += (math.log(tokens) - self._log_refused) / min(self._refused, _REFUSED_SMOOTHED_OVER)

    def count(self, accepted: Accepted, tokens: int, expected_share: float = 0.0) -> None:
        """A refusal that tells something. `accepted`: what the server had taken before it.

        `expected_share`: of calls that are refused for other reasons than a limit.
        """
        weight, taken = 1.0, float(accepted.calls - self._accepted.calls)
        if tokens and self.mean_tokens:
            weight, taken = tokens / self.mean_tokens, (accepted.tokens - self._accepted.tokens) / self.mean_tokens
        self.value = max(0.0, self.value - (_FORGIVEN + 2 * expected_share) * max(0.0, taken)) + weight
        if accepted.calls > self._accepted.calls:
            self._accepted = accepted
