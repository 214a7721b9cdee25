"""TensorFlow checkpoints by the path that scripts import them from; they are read and written in `formats`."""

from bert4keras2.checkpoints.formats.tensorflow import open_tensorflow
from bert4keras2.checkpoints.formats.tensorflow_write import write_tensorflow

__all__ = ["open_tensorflow", "write_tensorflow"]
