"""Second replies that were drawn, not served, and sealed: evidence for later, for accounts that agreed to it."""
