"""Converting checkpoints between TensorFlow's names and Hugging Face's."""

from bert4keras2.checkpoints.conversion.converting import Conversion, convert

__all__ = ["Conversion", "convert"]
