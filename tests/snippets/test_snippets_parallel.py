"""parallel_apply, in processes and threads."""

import multiprocessing
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from bert4keras2.snippets import parallel_apply, parallel_apply_generator


def square(x):
    return x * x


def slow_if_small(x):
    time.sleep(0.05 if x == 0 else 0)
    return x


def fail_at_three(x):
    if x == 3:
        raise KeyError("three")
    return x


def draw(x):
    time.sleep(0.02)
    return os.getpid(), np.random.randint(10**9)


def die(x):
    os._exit(1)


# Forking a process in which other threads run can hang, and these tests run beside TensorFlow or JAX: spawn.
@pytest.fixture(autouse=True)
def _spawn(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_context", _context)


_contexts = {name: multiprocessing.get_context(name) for name in multiprocessing.get_all_start_methods()}


def _context(method=None):
    return _contexts[method or "spawn"]


@pytest.mark.parametrize("dummy", [False, True])
def test_results(dummy):
    assert sorted(parallel_apply(square, range(20), 2, 5, dummy=dummy)) == [i * i for i in range(20)]
    pairs = dict(parallel_apply_generator(square, range(20), 2, 5, dummy=dummy))
    assert pairs == {i: i * i for i in range(20)}


def test_order_and_callback():
    assert parallel_apply(slow_if_small, range(6), 3, 6, dummy=True, unordered=False) == list(range(6))
    seen = []
    assert parallel_apply(slow_if_small, range(6), 3, 6, seen.append, dummy=True, unordered=False) is None
    assert seen == list(range(6))
    seen.clear()
    parallel_apply(slow_if_small, range(6), 3, 6, seen.append, dummy=True)
    assert sorted(seen) == list(range(6)) and seen[0] != 0
    assert parallel_apply(square, [], 2, 2, dummy=True) == []


def test_threads_take_any_function():
    threads = set()
    parallel_apply(lambda x: threads.add(threading.get_ident()), range(3), 2, 2, dummy=True)
    assert threading.get_ident() not in threads


def test_endless_input_is_read_as_needed():
    read = []

    def items():
        n = 0
        while True:
            read.append(n)
            yield n
            n += 1

    results = parallel_apply_generator(square, items(), 2, 4, dummy=True)
    for _ in range(10):
        next(results)
    results.close()
    assert len(read) <= 10 + 4 + 1


def test_random_seeds():
    def numbers(**options):
        by_process = {}
        for pid, number in parallel_apply(draw, range(4), 2, 4, **options):
            by_process.setdefault(pid, number)
        return set(by_process.values())

    first = np.random.RandomState(1).randint(10**9), np.random.RandomState(2).randint(10**9)
    assert numbers(random_seeds=[1, 2]) <= set(first)
    np.random.seed(5)
    expected = {
        np.random.RandomState(int(seed)).randint(10**9)
        for seed in np.random.RandomState(5).randint(0, 2**32, 2, dtype="uint64")
    }
    assert numbers() <= expected


def test_errors():
    with pytest.raises(KeyError, match="three"):
        parallel_apply(fail_at_three, range(6), 2, 3, dummy=True)
    with pytest.raises(KeyError, match="three"):
        parallel_apply(fail_at_three, range(6), 1, 3)
    with pytest.raises(RuntimeError, match="worker process ended"):
        parallel_apply(die, range(2), 1, 2)
    with pytest.raises(TypeError, match="cannot be sent to other processes.*dummy=True"):
        parallel_apply(lambda x: x, range(2), 1, 2)
    with pytest.raises(TypeError, match="func must be callable"):
        parallel_apply(None, range(2), 1, 2)
    with pytest.raises(ValueError, match="workers and max_queue_size must be positive"):
        parallel_apply_generator(square, [1], 0, 2)
    with pytest.raises(ValueError, match="1 seeds for 2 workers"):
        parallel_apply_generator(square, [1], 2, 2, random_seeds=[3])


@pytest.mark.skipif("fork" not in _contexts, reason="this system has no fork")
def test_fork_takes_closures():
    # In a process of its own: the threads of TensorFlow and JAX do not survive a fork.
    script = (
        "import multiprocessing; multiprocessing.set_start_method('fork')\n"
        "from bert4keras2.snippets import parallel_apply\n"
        "print(parallel_apply(lambda x: x + 1, range(3), 1, 2, unordered=False))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "[1, 2, 3]", run.stderr
