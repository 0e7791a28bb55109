"""From the gateway's calls to findings that a careful person can act on."""
