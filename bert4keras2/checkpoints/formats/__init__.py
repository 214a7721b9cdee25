"""Reading and writing single formats of checkpoints."""
