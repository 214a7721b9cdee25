"""Mutated files for every reader: `python -m tests.fuzz --format tensorflow --cases 20000`; see docs/reliability.md."""
