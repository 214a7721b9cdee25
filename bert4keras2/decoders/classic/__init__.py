"""The decoders that scripts subclass, in NumPy around a `predict` of their own."""
