"""Generation without Keras' model: one step as a graph for other programs, and an engine that runs such graphs."""
