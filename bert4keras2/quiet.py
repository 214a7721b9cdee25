"""`import bert4keras2.quiet`, before Keras: TensorFlow's notes about the machine stay off the terminal.

Commands and examples import it; a script of yours may. What you have set in TF_CPP_MIN_LOG_LEVEL stays as it is, and
with "0" everything is shown.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.abc import MetaPathFinder
from typing import Any

# Of NVIDIA, of the Linux inside of Windows, of AMD.
GPU_DRIVERS = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")

# Without a driver, the first error line says that CUDA does not start, in red, where nobody has asked for it; so errors
# are left out too. What goes wrong in a program is raised, whatever is logged.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2" if any(map(os.path.exists, GPU_DRIVERS)) else "3")

# Notes and warnings that come while TensorFlow is being imported, before it reads that variable.
_NOTES = re.compile(
    rb"WARNING: All log messages before absl|[IW]\d{4} \d\d:\d\d|\d{4}-\d\d-\d\d \S+ [IW] |[IW]0000 "
    rb"|To enable the following instructions|.*Unable to register cu\w+ factory"
)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """A context after which those lines of the error stream are shown that are no notes; after an error, all."""
    sys.stderr.flush()
    try:
        shown = os.dup(2)
    except OSError:  # no error stream at all
        yield
        return
    notes: re.Pattern[bytes] | None = None
    with tempfile.TemporaryFile() as file:
        os.dup2(file.fileno(), 2)
        try:
            yield
            notes = _NOTES
        finally:
            sys.stderr.flush()
            os.dup2(shown, 2)
            os.close(shown)
            file.seek(0)
            kept = [line for line in file if notes is None or not notes.match(line)]
            with contextlib.suppress(OSError):
                os.write(2, b"".join(kept))


class _FirstImport(MetaPathFinder):
    """Has the first import of TensorFlow done without notes."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return the spec of TensorFlow, whose loader is quiet; None for all else."""
        if name != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: Any) -> None:
                with _without_notes():
                    load(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


if os.environ["TF_CPP_MIN_LOG_LEVEL"] not in ("", "0") and "tensorflow" not in sys.modules:
    sys.meta_path.insert(0, _FirstImport())
