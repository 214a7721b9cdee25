"""Rows: where they come from, and what they say, whatever their columns are called."""
