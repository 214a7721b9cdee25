"""Moving scripts from bert4keras: `python -m bert4keras2.migrate PATH...` (needs neither Keras nor a backend)."""

from bert4keras2.migrate.constructs import Note
from bert4keras2.migrate.rewrite import Result, migrate_source

__all__ = ["Note", "Result", "migrate_source"]
