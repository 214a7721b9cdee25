"""Apply a function to many items in processes or threads."""

from __future__ import annotations

import multiprocessing
import pickle
import queue
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import numpy as np

__all__ = ["parallel_apply", "parallel_apply_generator"]

_function: Callable[[Any], Any] | None = None  # set in each worker process


def _start_worker(function: Callable[[Any], Any], seeds: Any) -> None:
    global _function
    _function = function
    if seeds is not None:
        np.random.seed(seeds.get())


def _call(item: Any) -> Any:
    return _function(item)


def parallel_apply_generator(
    func: Callable[[Any], Any],
    iterable: Iterable[Any],
    workers: int,
    max_queue_size: int,
    dummy: bool = False,
    random_seeds: bool | Sequence[int] | None = True,
) -> Iterator[tuple[int, Any]]:
    """Yield (i, func(item i)) in the order in which the results arrive.

    Args:
        func: the function. Where processes are spawned (Windows, macOS, Python 3.14) it must be picklable: defined
            at the top of a module; and the script must start its work under `if __name__ == "__main__":`.
        iterable: the items; it is read as the work proceeds, so it may be endless.
        workers: number of processes or threads.
        max_queue_size: how many items are in work or waiting at most.
        dummy: use threads in place of processes (for functions that wait, or that cannot be pickled).
        random_seeds: NumPy seeds, one for each process; True draws them from NumPy's generator here, so that
            `np.random.seed` makes them repeatable; None or False leaves the processes as they start. Threads share
            one generator, which is not touched.

    Raises:
        ValueError: if a number is out of range.
        TypeError: if `func` cannot be sent to the processes.
        RuntimeError: if a process dies. What `func` raises is raised here.
    """
    if workers < 1 or max_queue_size < 1:
        raise ValueError(f"workers and max_queue_size must be positive, got {workers!r} and {max_queue_size!r}")
    if not callable(func):
        raise TypeError(f"func must be callable, got {func!r}")
    if dummy:
        executor: Executor = ThreadPoolExecutor(workers)
        return _apply(executor, func, iterable, max_queue_size)
    context = multiprocessing.get_context()
    if context.get_start_method() != "fork":
        _check_picklable(func)
    seeds = None
    if random_seeds is not None and random_seeds is not False:
        if random_seeds is True:
            random_seeds = np.random.randint(0, 2**32, workers, dtype="uint64").tolist()
        if len(random_seeds) < workers:
            raise ValueError(f"random_seeds has {len(random_seeds)} seeds for {workers} workers")
        seeds = context.SimpleQueue()
        for seed in random_seeds[:workers]:
            seeds.put(int(seed))
    executor = ProcessPoolExecutor(workers, context, _start_worker, (func, seeds))
    return _apply(executor, _call, iterable, max_queue_size)


def _check_picklable(func: Callable) -> None:
    try:
        pickle.dumps(func)
    except Exception as error:
        raise TypeError(
            f"func={func!r} cannot be sent to other processes ({error}). Define it at the top level of a module"
            " (no lambda, no function inside a function), or pass dummy=True to use threads"
        ) from error


def _apply(
    executor: Executor, func: Callable, iterable: Iterable[Any], max_queue_size: int
) -> Iterator[tuple[int, Any]]:
    finished: queue.SimpleQueue[tuple[int, Future]] = queue.SimpleQueue()
    waiting = 0

    def result() -> tuple[int, Any]:
        index, future = finished.get()
        try:
            return index, future.result()
        except BrokenProcessPool as error:
            raise RuntimeError(
                "A worker process ended before its work was done: it was killed (out of memory?), or the script that"
                ' starts the work is not under `if __name__ == "__main__":`'
            ) from error

    try:
        for index, item in enumerate(iterable):
            while waiting and (waiting >= max_queue_size or not finished.empty()):
                yield result()
                waiting -= 1
            future = executor.submit(func, item)
            future.add_done_callback(lambda done, index=index: finished.put((index, done)))
            waiting += 1
        for _ in range(waiting):
            yield result()
    finally:
        executor.shutdown(wait=True, cancel_futures=True)


def parallel_apply(
    func: Callable[[Any], Any],
    iterable: Iterable[Any],
    workers: int,
    max_queue_size: int,
    callback: Callable[[Any], Any] | None = None,
    dummy: bool = False,
    random_seeds: bool | Sequence[int] | None = True,
    unordered: bool = True,
) -> list[Any] | None:
    """Apply `func` to all items in processes or threads.

    Args:
        func, iterable, workers, max_queue_size, dummy, random_seeds: as for `parallel_apply_generator`.
        callback: called here, in the main process, with each result.
        unordered: take results as they arrive; False keeps the order of the items.

    Returns:
        The list of results; None if there is a callback.
    """
    results: list[Any] = []
    take = results.append if callback is None else callback
    early: dict[int, Any] = {}  # results that came before their turn
    turn = 0
    for index, value in parallel_apply_generator(func, iterable, workers, max_queue_size, dummy, random_seeds):
        if unordered:
            take(value)
            continue
        early[index] = value
        while turn in early:
            take(early.pop(turn))
            turn += 1
    return results if callback is None else None
