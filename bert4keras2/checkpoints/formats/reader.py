"""What every reader of checkpoints offers."""

from __future__ import annotations

import difflib
import itertools
from abc import ABC, abstractmethod
from types import TracebackType

import numpy as np

from bert4keras2.errors import MissingVariableError

__all__ = ["Reader"]


class Reader(ABC):
    """An open checkpoint: named arrays that are read one at a time.

    A reader keeps names, shapes and types, never the values: every `read` goes to the file and hands out an
    array that the caller owns. Arrays have the type that is stored; bfloat16 and the 8-bit floats, which NumPy
    lacks, come as the types of `ml_dtypes` (`array.astype('float32')` works on them).

    Attributes:
        path: what was opened (for TensorFlow the prefix, without `.index`).
        format: 'tensorflow', 'tensorflow_objects', 'safetensors', 'torch' or 'keras2_hdf5'.
    """

    format: str = ""

    def __init__(self, path: str) -> None:
        self.path = path
        self._entries: dict[str, tuple[tuple[int, ...], str]] = {}  # name -> shape, dtype name
        self._closed = False

    def names(self) -> list[str]:
        """Return the names of all variables, in the order that is quickest to read."""
        return list(self._entries)

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of one variable; raises `MissingVariableError` for an unknown name."""
        return self._entries[self._known(name)][0]

    def dtype(self, name: str) -> str:
        """Return the name of the stored type ('float32', 'bfloat16', ...); raises `MissingVariableError`."""
        return self._entries[self._known(name)][1]

    def read(self, name: str) -> np.ndarray:
        """Read one variable from the file.

        Args:
            name: one of `names()`.

        Returns:
            An array of `shape(name)` and `dtype(name)` that the reader does not hold on to.

        Raises:
            MissingVariableError: there is no such variable; the message lists the closest names.
            CheckpointDamagedError: the bytes of the variable are missing or changed.
            ValueError: the reader is closed.
        """
        if self._closed:
            raise ValueError(f"The checkpoint {self.path!r} is closed; open it again to read {name!r}.")
        return self._read(self._known(name))

    def close(self) -> None:
        """Close the file; `read` is an error from then on, names and shapes stay available."""
        if not self._closed:
            self._closed = True
            self._release()

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._resolve(name) in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def __enter__(self) -> Reader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.path!r}: {len(self)} variables>"

    def _resolve(self, name: str) -> str:
        """Translate another spelling of a name; formats that know one override this."""
        return name

    def _known(self, name: str) -> str:
        resolved = self._resolve(name)
        if resolved in self._entries:
            return resolved
        # Comparing is slow: names that nobody would write, and lists longer than any model's, are left out.
        known = [entry for entry in itertools.islice(self._entries, 5000) if len(entry) < 300]
        close = difflib.get_close_matches(name, known, n=3, cutoff=0.5)
        listed = close or list(self._entries)[:3]
        what = "The closest names are" if close else f"Its {len(self)} names begin with"
        shown = f"{what} {', '.join(map(repr, listed))}; names() lists all." if listed else "It holds no variables."
        raise MissingVariableError(f"The checkpoint {self.path!r} has no variable {name!r}. {shown}")

    @abstractmethod
    def _read(self, name: str) -> np.ndarray:
        """Read a variable that is known to exist."""

    @abstractmethod
    def _release(self) -> None:
        """Let go of the file."""
