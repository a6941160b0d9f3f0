"""Kernels in C, compiled and kept in a folder.

A kernel is code that decides a verdict. It is kept under a digest of its source and of its compiler, in a folder that
nobody else may write to, with a digest of the library in its name.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import signal
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, fx

from verify.engine.in_c import NotWritten
from verify.engine.written import Source
from verify.files.folders import file_sha256

#: Options of a C compiler. None of them changes a number: products and sums are not fused, no sum is put in another
#: order, and the processor's treatment of subnormal numbers is left alone.
_OPTIONS = ("-O3", "-march=native", "-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-shared", "-fPIC")


class Written:
    """A kernel in C, compiled: called as its module, with arguments of the shapes and strides that it was made for."""

    def __init__(
        self, module: fx.GraphModule, arguments: Sequence[Tensor], folder: Path, seconds: float | None = None
    ) -> None:
        """Compile it, or take it from a folder.

        Args:
            module: see :class:`Source`.
            arguments: the same.
            folder: where libraries are kept.
            seconds: that the compiler may take, by default any number.

        Raises:
            NotWritten: see :class:`Source`; or there is no C compiler, or others may write to the folder.
            OSError: the folder cannot be written to, or the library not be loaded.
            subprocess.SubprocessError: the compiler failed, or took too long.

        """
        source = Source(module, arguments)
        self._layout = [_layout(value) for value in arguments]
        self._shape, self._dtype, self._work = source.shape, arguments[0].dtype, source.work
        self._constants = source.constants
        self._library = _library(source.text, folder, seconds)
        self._function = self._library.kernel
        self._function.restype = None

    def __call__(self, *arguments: Tensor) -> tuple[Tensor]:
        """Return the result.

        Raises:
            ValueError: arguments of another layout than it was made for.

        """
        if [_layout(value) for value in arguments] != self._layout:
            raise ValueError("arguments: expected the shapes and strides that the kernel was made for")
        found, work = torch.empty(self._shape, dtype=self._dtype), torch.empty(self._work, dtype=self._dtype)
        held = [*arguments, *self._constants]
        addresses = (ctypes.c_void_p * len(held))(*(value.data_ptr() for value in held))
        self._function(addresses, ctypes.c_void_p(found.data_ptr()), ctypes.c_void_p(work.data_ptr()))
        return (found,)


def _layout(value: Tensor) -> tuple[Any, ...]:
    return tuple(value.shape), value.stride(), value.dtype, value.device.type


def _library(text: str, folder: Path, seconds: float | None) -> ctypes.CDLL:
    compiler = next(
        (found for name in (os.environ.get("CC"), "cc", "gcc", "clang") if name and (found := shutil.which(name))), None
    )
    if compiler is None:
        raise NotWritten("no C compiler")
    # what the compiler says of itself and of this processor: a kernel of another one is not run
    target = subprocess.run(  # noqa: S603 # the user's own compiler
        [compiler, "-march=native", "-E", "-dM", "-x", "c", os.devnull], capture_output=True, check=True
    )
    digest = hashlib.sha256(target.stdout + "\0".join([*_OPTIONS, text]).encode()).hexdigest()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _ours(folder):
        raise NotWritten("a folder that others may write to: they could put their own kernels there")
    for path in folder.glob(f"{digest}.*.so"):
        if path.name == f"{digest}.{file_sha256(path)}.so":
            return ctypes.CDLL(str(path))
        path.unlink(missing_ok=True)  # cut short: made again
    with tempfile.TemporaryDirectory(dir=folder) as made:
        written = Path(made) / "kernel.c"
        written.write_text(text, encoding="utf-8")
        library = written.with_suffix(".so")
        command = [compiler, *_OPTIONS, str(written), "-lm", "-o", str(library)]
        _run(command, seconds)
        return ctypes.CDLL(str(library.replace(folder / f"{digest}.{file_sha256(library)}.so")))


def _run(command: Sequence[str], seconds: float | None) -> None:
    """Run a compiler; end it, with the programs that it started, where it takes longer than some seconds."""
    with subprocess.Popen(  # noqa: S603 # the user's own compiler, on our own source
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        try:
            _, said = process.communicate(timeout=seconds)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, stderr=said)


def _ours(folder: Path) -> bool:
    """Return whether a folder is this user's, and nobody else may write to it."""
    held = folder.stat()
    return held.st_uid == os.getuid() and not held.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
