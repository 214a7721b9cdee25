"""What generation is used for."""
