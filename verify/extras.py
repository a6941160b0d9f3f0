"""Third-party libraries beyond the core, imported when they are first used."""

from __future__ import annotations

import importlib
from types import ModuleType

from constructions.validation import InvalidArgument

#: Every optional library by the name of its import, and the extra of this package that installs it.
EXTRAS = {
    "transformers": "huggingface",
    "peft": "huggingface",
    "safetensors": "huggingface",
    "onnx": "onnx",
    "onnxscript": "onnx",
    "onnxruntime": "onnx",
    "transformer_lens": "lens",
    "distributed": "cluster",
    "matplotlib": "plot",
    "tokenizers": "text",
    "jinja2": "report",
}


def needed(library: str, purpose: str) -> ModuleType:
    """Return an optional library, imported.

    Args:
        library: the name of its import, such as ``transformers`` or ``safetensors.torch``.
        purpose: the argument or command that needs it, in a word; it opens the message.

    Raises:
        InvalidArgument: it is not installed; the message says which extra installs it.

    Example:
        >>> needed("matplotlib.figure", "picture").__name__
        'matplotlib.figure'

    """
    root = library.partition(".")[0]
    extra = EXTRAS[root]
    try:
        return importlib.import_module(library)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != root:
            raise  # installed, but broken: that is another message
        raise InvalidArgument(
            f"{purpose}: expected {root}; install it with: pip install 'prefixproof[{extra}]'"
        ) from error
