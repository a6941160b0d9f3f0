"""The formats of exports, one file each."""

from constructions.registry import Registry
from verify.export.base import ExportFormat
from verify.export.formats.bundle import Bundle
from verify.export.formats.huggingface_folder import HuggingFace
from verify.export.formats.onnx_file import Onnx
from verify.export.formats.safetensors_file import Safetensors
from verify.export.formats.torch_program import TorchExport

#: Every format by its name. A new one is registered here.
EXPORTS: Registry[ExportFormat] = Registry(
    "format", (Safetensors(), Onnx(), TorchExport(), HuggingFace(), Bundle()), name=lambda form: form.name
)
