"""`K`: what Keras 2's `keras.backend` offered to scripts."""
