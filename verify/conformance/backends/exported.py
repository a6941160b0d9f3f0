"""Backends: an export of the construction, written to a file, read back, and run by one engine for such files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, final

from constructions.construction import Construction
from constructions.formats import get_format
from constructions.validation import InvalidArgument, check_choice
from verify.backends import Backend, CallableBackend
from verify.conformance.backends.base import BackendFactory

if TYPE_CHECKING:
    from verify.export.base import Held

#: The levels of onnxruntime's optimiser; a test compares them with those of the export, which takes torch to import.
ONNX_LEVELS = ("disable-all", "basic", "extended", "layout", "all")


@final
class Exported(BackendFactory):
    """One engine that runs an export. It gets the file alone; its weights are those that were written there."""

    quick = False
    #: the last construction that was exported, with its format and dtype, for the other engines of the same file
    _last: ClassVar[tuple[Construction, str, str, Held] | None] = None

    def __init__(self, group: str, form: str, engine: str | None = None) -> None:
        """Run exports of a format.

        Args:
            group: of the engines.
            form: the format, as ``export --format`` takes it.
            engine: which of the engines, by the word in its name; ``None`` for the only one.

        """
        self.group, self.form, self.engine = group, form, engine
        self.name = group if engine is None else f"{group}-{engine}"
        self.summary = f"an export in the format {form}, run by {group}{'' if engine is None else f', {engine}'}"

    def make(self, construction: Construction, dtype: str) -> Backend:
        """Return the engine on the file, as a callable."""
        import torch  # noqa: PLC0415 # torch takes seconds to import

        held = self._exported(construction, dtype)
        engines = {engine.name: engine for engine in held.engines(construction)}
        words = [f"{self.group} {self.engine} {dtype}"] if self.engine is not None else list(engines)
        engine = engines[check_choice("backend", words[0], tuple(engines))]

        def call(virtual: Any, tokens: Any) -> Any:
            with torch.no_grad():
                return engine.call(torch.from_numpy(virtual).to(getattr(torch, dtype)), torch.from_numpy(tokens))

        return CallableBackend(call, name=self.name, dtype=dtype)

    def _exported(self, construction: Construction, dtype: str) -> Held:
        """Return the export, read back from its file."""
        from verify.export import EXPORTS, cases_of  # noqa: PLC0415 # torch takes seconds to import
        from verify.export.base import Export  # noqa: PLC0415 # the same
        from verify.running.torch_module import to_torch  # noqa: PLC0415 # the same

        last = Exported._last
        if last is not None and last[0] is construction and last[1:3] == (self.form, dtype):
            return last[3]
        form = EXPORTS[self.form]
        form.check_dtype(dtype)
        fixed = form.fixed(construction, dtype)
        if fixed.temperature_for(get_format(dtype)) != construction.temperature_for(get_format(dtype)):
            raise InvalidArgument(f"backend: expected a format that keeps the temperature but {self.form} changes it")
        targets, inputs = cases_of(construction, None, None, sample=1, seed=0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"export{form.ending}"
            form.write(Export(fixed, type(construction).__name__, dtype, targets, inputs, to_torch(fixed, dtype)), path)
            held = form.read(path)
        Exported._last = (construction, self.form, dtype, held)
        return held
