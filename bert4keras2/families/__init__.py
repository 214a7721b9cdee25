"""What the library knows of each family of models: a page each, read without Keras."""
