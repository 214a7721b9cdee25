"""Models for other programs: ONNX, SavedModel, LiteRT, OpenVINO; and ONNX models as functions of arrays."""

from bert4keras2.exporting.described import Description, described, refuse_checkpoint
from bert4keras2.exporting.exported import ExportedModel
from bert4keras2.exporting.runtime import OnnxModel
from bert4keras2.exporting.writing import FORMATS, PLACES, Written, check_format, export_model

__all__ = [
    "FORMATS",
    "PLACES",
    "Description",
    "ExportedModel",
    "OnnxModel",
    "Written",
    "check_format",
    "described",
    "export_model",
    "refuse_checkpoint",
]
