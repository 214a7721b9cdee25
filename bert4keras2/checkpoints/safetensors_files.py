"""safetensors files by the path that scripts import them from; they are read and written in `formats`."""

from bert4keras2.checkpoints.formats.safetensors import SafetensorsReader, write_safetensors

__all__ = ["SafetensorsReader", "write_safetensors"]
