"""Which name in a checkpoint is which variable of a model."""
