"""Ways to decode faster: drafts that one step verifies, and beginnings of prompts that are read once."""
