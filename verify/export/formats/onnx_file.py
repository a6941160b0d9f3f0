"""The forward pass as an ONNX model, by torch's exporter, and run by onnxruntime at each of its levels."""

from __future__ import annotations

import hashlib
import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, ClassVar, final

import torch
from torch import Tensor

from constructions.construction import Construction
from constructions.validation import InvalidArgument
from verify.export.base import Engine, Export, ExportFormat, Held, check_described, read_bytes
from verify.export.formats.torch_program import traced_program
from verify.export.record import Record
from verify.extras import needed
from verify.files.atomic import write_atomically
from verify.running.torch_module import buffer_name

#: The metadata of the model under which the record and the digest of everything else are.
_RECORD, _DIGEST = "prefixproof", "prefixproof_sha256"
_INPUTS, _OUTPUT = ("virtual_tokens", "tokens"), "logits"

#: The levels of onnxruntime's optimiser, by the names that its documentation has.
LEVELS: Mapping[str, str] = {
    "disable-all": "ORT_DISABLE_ALL",
    "basic": "ORT_ENABLE_BASIC",
    "extended": "ORT_ENABLE_EXTENDED",
    "layout": "ORT_ENABLE_LAYOUT",
    "all": "ORT_ENABLE_ALL",
}


@final
class Onnx(ExportFormat):
    """The forward pass with its weights as initialisers: from virtual tokens and tokens to logits."""

    name: ClassVar[str] = "onnx"
    ending: ClassVar[str] = ".onnx"
    extra: ClassVar[str | None] = "onnx"
    holds: ClassVar[str] = "the forward pass and its weights, for any batch and length"
    verified: ClassVar[str] = "onnxruntime runs it at each of its five levels of optimisation"
    program: ClassVar[bool] = True
    #: onnxruntime has kernels of these for all that a model is made of (but no erf in float64)
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float64")

    def write(self, export: Export, path: Path) -> None:
        """Write the model that torch's exporter makes, with its weights by name and none of its notes on this machine.

        Raises:
            InvalidArgument: the extra is not installed, or the exporter cannot write a layer.

        """
        onnx = needed("onnx", "export")
        needed("onnxscript", "export")
        with _quiet():
            try:
                made = torch.onnx.export(
                    traced_program(export.module),
                    (),
                    dynamo=True,
                    input_names=list(_INPUTS),
                    output_names=[_OUTPUT],
                    external_data=False,
                    optimize=False,  # which would fold weights into others, and lose their names
                    verbose=False,
                )
            except torch.onnx.errors.OnnxExporterError as error:
                said = " ".join(str(error).split())[:200]
                raise InvalidArgument(f"onnx: expected layers that torch's exporter can write but {said}") from error
        assert made is not None, "the exporter of engines returns one"
        model = onnx.ModelProto()
        model.CopyFrom(made.model_proto)
        _forget_traces(model)
        _set(model, _RECORD, export.record(self).to_text())
        _set(model, _DIGEST, _sha256(model))
        write_atomically(path, model.SerializeToString(deterministic=True))

    def read(self, path: Path) -> Held:
        """Return the record, the weights, and the model at each level of optimisation."""
        onnx = needed("onnx", "export")
        name = f"onnx {path.name}"
        content = read_bytes(path, name)
        model = onnx.ModelProto()
        try:
            model.ParseFromString(content)
        except Exception as error:  # noqa: BLE001 # the parser's own class of errors moves
            raise InvalidArgument(
                f"{name}: expected an ONNX model but it cannot be read ({type(error).__name__})"
            ) from None
        words = [(entry.key, entry.value) for entry in model.metadata_props]
        held = dict(words)
        if set(held) != {_RECORD, _DIGEST} or len(words) != len(held):
            raise InvalidArgument(f"{name}: expected a model that this package exported, with its record in it")
        del model.metadata_props[next(at for at, (key, _) in enumerate(words) if key == _DIGEST)]
        if _sha256(model) != held[_DIGEST]:
            raise InvalidArgument(f"{name}: expected the model as it was written but its digest is of another")
        _set(model, _DIGEST, held[_DIGEST])
        if model.SerializeToString(deterministic=True) != content:
            raise InvalidArgument(f"{name}: expected the file as it was written but it was changed")
        record = Record.from_text(held[_RECORD], name)
        if record.format != self.name:
            raise InvalidArgument(f"{name}: expected the record of format {self.name} but got {record.format!r}")
        _check_model(onnx, model, name)
        weights = _weights(onnx, model, record, name)
        return Held(record, hashlib.sha256(content).hexdigest(), weights, partial(_engines, content, record.dtype))

    def versions(self) -> dict[str, str]:
        """Return the versions of the exporter's libraries and of the runtime."""
        found = {}
        for library in ("onnx", "onnxscript", "onnxruntime"):
            try:
                found[library] = version(library)
            except PackageNotFoundError:
                found[library] = "not installed"
        return found


def _engines(content: bytes, dtype: str, construction: Construction) -> Iterator[Engine]:
    runtime = needed("onnxruntime", "export")
    for word, level in LEVELS.items():
        yield Engine(f"onnxruntime {word} {dtype}", _Session(runtime, content, level))


class _Session:
    """A session of onnxruntime at one level; it is made when it first runs."""

    def __init__(self, runtime: Any, content: bytes, level: str) -> None:
        self.runtime, self.content, self.level, self.session = runtime, content, level, None

    def __call__(self, virtual: Tensor, tokens: Tensor) -> Any:
        """Return the logits."""
        if self.session is None:
            options = self.runtime.SessionOptions()
            options.graph_optimization_level = getattr(self.runtime.GraphOptimizationLevel, self.level)
            options.log_severity_level = 3  # errors alone
            options.intra_op_num_threads = torch.get_num_threads()
            self.session = self.runtime.InferenceSession(self.content, options, providers=["CPUExecutionProvider"])
        session: Any = self.session
        return session.run([_OUTPUT], dict(zip(_INPUTS, (virtual.numpy(), tokens.numpy()), strict=True)))[0]


def _weights(onnx: Any, model: Any, record: Record, name: str) -> dict[str, Tensor]:
    """Return the initialisers that are weights, which are not to be there twice."""
    buffers = {buffer_name(weight): weight for weight in record.weights}
    found: dict[str, Tensor] = {}
    for held in model.graph.initializer:
        if held.name in buffers:
            if buffers[held.name] in found:
                raise InvalidArgument(f"{name}: expected weight {held.name} once but got it twice")
            try:
                found[buffers[held.name]] = torch.from_numpy(onnx.numpy_helper.to_array(held).copy())
            except (ValueError, TypeError) as error:
                raise InvalidArgument(f"{name}: expected numbers in weight {held.name} but {error}") from None
    check_described(record, found, name)
    return found


def _check_model(onnx: Any, model: Any, name: str) -> None:
    """Refuse a model that reaches beyond its file or the standard operators, or that takes other inputs."""
    if any(onnx.external_data_helper.uses_external_data(held) for held in _tensors(onnx, model)):
        raise InvalidArgument(f"{name}: expected all weights in the file but some are in another")
    if [entry.domain for entry in model.opset_import] != [""] or len(model.functions):
        raise InvalidArgument(f"{name}: expected operators of the ONNX standard alone")
    ends = tuple(entry.name for entry in model.graph.input), tuple(entry.name for entry in model.graph.output)
    if ends != (_INPUTS, (_OUTPUT,)):
        raise InvalidArgument(f"{name}: expected a model from {' and '.join(_INPUTS)} to {_OUTPUT}")
    try:
        onnx.checker.check_model(model)
    except Exception as error:  # noqa: BLE001 # its classes of errors differ between versions
        said = " ".join(str(error).split())[:200]
        raise InvalidArgument(f"{name}: expected a valid ONNX model but {said}") from None


def _tensors(onnx: Any, message: Any) -> Iterator[Any]:
    """Yield every tensor anywhere in a message."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            parts = value if hasattr(value, "__len__") and not hasattr(value, "ListFields") else [value]
            for part in parts:
                yield from _tensors(onnx, part)


def _forget_traces(model: Any) -> None:
    """Remove what the exporter notes of the code that it traced: paths on this machine, which nobody else needs."""
    del model.metadata_props[:]
    for part in (model.graph, *model.graph.node, *model.graph.value_info, *model.graph.input, *model.graph.output):
        del part.metadata_props[:]
    for held in model.graph.initializer:
        del held.metadata_props[:]
    model.graph.doc_string = model.doc_string = ""


def _set(model: Any, key: str, value: str) -> None:
    entry = model.metadata_props.add()
    entry.key, entry.value = key, value


def _sha256(model: Any) -> str:
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep what the exporter says of itself from the user: deprecations inside it, and libraries that it misses."""
    logger = logging.getLogger("torch.onnx")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(before)
