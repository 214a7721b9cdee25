"""Functions over keras.ops, and what all layers and models are made with: no layers, no state."""
