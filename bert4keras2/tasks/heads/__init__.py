"""What stands on top of a model: pooling, scores, losses."""
