"""The gateway's database: accounts, keys, limits, permits. SQLite by default, PostgreSQL for several machines."""
