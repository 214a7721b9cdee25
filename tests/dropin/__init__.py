"""Runs scripts that other people wrote for bert4keras: `python -m tests.dropin FOLDER` (see docs/migrating.md)."""
