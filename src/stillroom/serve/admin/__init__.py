"""The admin API: accounts, keys and administrators, on a port of its own with credentials of its own."""
