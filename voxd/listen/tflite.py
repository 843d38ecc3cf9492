"""Model checks, one thread and XNNPACK for the bindings of both wake engines to the TFLite C library."""

import contextlib
import ctypes
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pymicro_wakeword

from voxd.config.files.access import reason_not_readable
from voxd.errors import ModelError

_BROKEN = "replace the file, or remove `model` from the [[wake.words]] entry"


def library_path() -> Path:
    """Return the TFLite C library inside the pymicro-wakeword wheel. Raises `ModelError`."""
    # `pymicro-wakeword` and `pyopen-wakeword` ship the same library: loaded from one wheel it is in memory
    # once.
    folder = Path(pymicro_wakeword.__file__).parent / "lib"
    found = sorted(folder.glob("*tensorflowlite_c.*"))
    if not found:
        raise ModelError(f"no TFLite library in {folder}", hint="reinstall pymicro-wakeword")
    return found[0]


def check_model(path: Path) -> None:
    """Raise `ModelError` unless ``path`` is a TFLite model the library can open."""
    if reason := reason_not_readable(path):
        raise ModelError(f"wake word model {path} {reason}", hint=_BROKEN)
    # Neither binding checks for a null pointer, so a broken file would crash the process: it is opened here
    # first.
    lib = ctypes.CDLL(str(library_path()))
    lib.TfLiteModelCreateFromFile.argtypes = [ctypes.c_char_p]
    lib.TfLiteModelCreateFromFile.restype = ctypes.c_void_p
    lib.TfLiteModelDelete.argtypes = [ctypes.c_void_p]
    lib.TfLiteModelDelete.restype = None
    model = lib.TfLiteModelCreateFromFile(str(path).encode())
    if not model:
        raise ModelError(f"wake word model {path} is not a TFLite model", hint=_BROKEN)
    lib.TfLiteModelDelete(model)


def input_shape(holder: Any) -> tuple[int, ...]:
    """Return the shape a binding's ``holder`` of an ``input_tensor`` expects."""
    tensor = holder.input_tensor
    return tuple(
        holder.lib.TfLiteTensorDim(tensor, axis) for axis in range(holder.lib.TfLiteTensorNumDims(tensor))
    )


class Delegate:
    """One XNNPACK delegate on one thread, put under an interpreter that a binding has already made."""

    def __init__(self, holder: Any, prefix: str, shape: Sequence[int]) -> None:
        """Replace ``holder.{prefix}_interpreter`` by one that runs ``shape`` inputs on XNNPACK."""
        # pyopen-wakeword runs its front end without XNNPACK and on all cores: 6.8 ms of CPU per 80 ms hop
        # against 1.0 ms (measured on the 2-core x86 development machine; scores differ by less than 1e-5).
        self._lib = _declare_functions(holder.lib)
        with _silence_stderr():
            self._pointer = self._lib.TfLiteXNNPackDelegateCreate(None)
        options = self._lib.TfLiteInterpreterOptionsCreate()
        self._lib.TfLiteInterpreterOptionsSetNumThreads(options, 1)
        self._lib.TfLiteInterpreterOptionsAddDelegate(options, self._pointer)
        interpreter = self._lib.TfLiteInterpreterCreate(getattr(holder, f"{prefix}_model"), options)
        self._lib.TfLiteInterpreterOptionsDelete(options)
        self._lib.TfLiteInterpreterResizeInputTensor(
            interpreter, 0, (ctypes.c_int32 * len(shape))(*shape), len(shape)
        )
        self._lib.TfLiteInterpreterAllocateTensors(interpreter)
        self._lib.TfLiteInterpreterDelete(getattr(holder, f"{prefix}_interpreter"))
        setattr(holder, f"{prefix}_interpreter", interpreter)
        setattr(holder, f"{prefix}_input_tensor", self._lib.TfLiteInterpreterGetInputTensor(interpreter, 0))
        setattr(holder, f"{prefix}_output_tensor", self._lib.TfLiteInterpreterGetOutputTensor(interpreter, 0))

    def close(self) -> None:
        """Free the delegate; call it after the interpreter is gone. Idempotent."""
        if self._pointer:
            self._lib.TfLiteXNNPackDelegateDelete(self._pointer)
            self._pointer = None


@contextlib.contextmanager
def _silence_stderr() -> Iterator[None]:
    """Keep "INFO: Created TensorFlow Lite XNNPACK delegate for CPU." off the terminal."""
    # The C interface has no switch for it. This takes less than a millisecond, in which another thread's line
    # would be lost too.
    stderr, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)
        os.close(nowhere)


def _declare_functions(lib: Any) -> Any:
    # Without argument types ctypes passes 32-bit integers, and cuts pointers off.
    pointer = ctypes.c_void_p
    for name, arguments, result in (
        ("TfLiteXNNPackDelegateCreate", [pointer], pointer),
        ("TfLiteXNNPackDelegateDelete", [pointer], None),
        ("TfLiteInterpreterOptionsCreate", [], pointer),
        ("TfLiteInterpreterOptionsDelete", [pointer], None),
        ("TfLiteInterpreterOptionsSetNumThreads", [pointer, ctypes.c_int32], None),
        ("TfLiteInterpreterOptionsAddDelegate", [pointer, pointer], None),
    ):
        function = getattr(lib, name)
        function.argtypes = arguments
        function.restype = result
    return lib
