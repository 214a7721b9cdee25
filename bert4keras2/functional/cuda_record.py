"""What a GPU is told, recorded once by CUDA and played again without Python.

A step of a small model keeps a GPU waiting for the processor, which starts some thousand kernels. What is recorded is
these kernels, as they are: a record gives the numbers of the calls that it was made of, takes as long to make as a few
calls, and holds for tensors of the same shapes and for the memory that it was made with.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bert4keras2.functional.call_watch import call_watch

__all__ = ["CudaRecord", "NotRecordableError"]


class NotRecordableError(RuntimeError):
    """A function does what no record can do again."""


class CudaRecord:
    """A function of tensors that is called once, then recorded, then played.

    Args:
        function: takes as many tensors as there are and returns a list of tensors.
        tensors: its arguments, on a GPU.

    Attributes:
        first: what the function returned when it was called.
    """

    def __init__(self, function: Callable[..., list[Any]], tensors: Sequence[Any]):
        import torch

        self._function, self._graph = function, None
        self._inputs = [tensor.clone() for tensor in tensors]
        self._device = self._inputs[0].device
        # What CUDA prepares when something is called for the first time on a stream cannot be recorded.
        self._stream, watch = torch.cuda.Stream(self._device), call_watch()
        self._stream.wait_stream(torch.cuda.current_stream(self._device))
        with torch.cuda.stream(self._stream), watch:
            self.first = function(*self._inputs)
        torch.cuda.current_stream(self._device).wait_stream(self._stream)
        self._constants, self._problem = watch.constants, watch.problem

    @property
    def pool(self) -> Any:
        """The memory of the record, which those that are never played at the same time may share."""
        return None if self._graph is None else self._graph.pool()

    def make(self, pool: Any = None) -> bool:
        """Make the record, which calls the function once more but computes nothing.

        Args:
            pool: the memory of another record, if this one is to share it.

        Returns:
            Whether it was made: not where memory is short.

        Raises:
            NotRecordableError: if what the function does cannot be recorded.
        """
        import torch

        if self._problem is not None:
            raise NotRecordableError(self._problem)
        if not self._has_room():
            return False
        generator = torch.cuda.default_generators[self._device.index]
        kept = torch.Generator(self._device)
        kept.set_state(generator.get_state())
        graph = torch.cuda.CUDAGraph()
        # Other threads may go on copying batches meanwhile.
        recording = torch.cuda.graph(graph, pool, self._stream, capture_error_mode="thread_local")
        try:
            with recording, call_watch(self._constants):
                self._outputs = self._function(*self._inputs)
        except BaseException as error:
            generator.graphsafe_set_state(kept)  # a record that breaks off leaves the generator within one
            if isinstance(error, torch.OutOfMemoryError):
                return False
            if not isinstance(error, Exception):
                raise
            cause = error.__context__ or error  # CUDA says at the end that something went wrong before
            lines = str(cause).strip().splitlines()
            raise NotRecordableError(lines[0] if lines else type(cause).__name__) from error
        self._graph, self._function = graph, None
        return True

    def _has_room(self) -> bool:
        """Whether there is memory for the record, which keeps it, and for a call of the same size beside it."""
        import torch

        used = torch.cuda.memory_allocated(self._device)
        free = torch.cuda.mem_get_info(self._device)[0] + torch.cuda.memory_reserved(self._device) - used
        return free >= 2 * (torch.cuda.max_memory_allocated(self._device) - used)

    def play(self, tensors: Sequence[Any]) -> list[Any]:
        """Return what the function returns for tensors of the recorded shapes, on any device."""
        for kept, tensor in zip(self._inputs, tensors, strict=True):
            kept.copy_(tensor, non_blocking=True)
        self._graph.replay()
        return [output.clone() for output in self._outputs]  # the next call writes over them
