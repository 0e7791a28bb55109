"""The schema's history: numbered steps that alembic runs. A step that has been released is never edited."""
