"""Permits: issued and revoked by administrators, checked by every worker."""
