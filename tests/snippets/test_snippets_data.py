"""DataGenerator and buckets, without Keras."""

import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from bert4keras2.snippets import BatchStream, DataGenerator, bucketed, sample_length, sequence_padding
from bert4keras2.snippets.streams import TRIAL_BATCHES

GOLDEN = pathlib.Path(__file__).parents[1] / "golden" / "snippets" / "helpers.json"
CASES = json.loads(GOLDEN.read_text("utf-8"))["DataGenerator"]


class Generator(DataGenerator):
    """As training scripts write it."""

    def __iter__(self, random=False):
        ids, sums = [], []
        for is_end, d in self.sample(random):
            ids.append(d)
            sums.append([sum(d)])
            if len(ids) == self.batch_size or is_end:
                yield [sequence_padding(ids)], sequence_padding(sums)
                ids, sums = [], []


class Endings(DataGenerator):
    def collate(self, batch):
        return [sequence_padding(batch, multiple=16)], np.array([[len(d)] for d in batch])


def plain(batch):
    inputs, targets = batch
    return [inputs[0].tolist(), targets.tolist()]


# -- golden ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES)
def test_golden(case):
    generator = Generator(case["data"], case["batch_size"])
    assert (generator.steps, len(generator)) == (case["steps"], case["steps"])
    assert generator.buffer_size == case["buffer_size"]
    assert [list(pair) for pair in generator.sample()] == case["sample"]
    assert [plain(batch) for batch in generator] == case["batches"]
    stream = generator.forfit(random=False)
    assert [plain(next(stream)) for _ in range(2 * case["steps"])] == case["forfit_two_epochs"]
    assert [inputs[0].tolist() for inputs in generator.fortest()] == case["fortest"]
    np.random.seed(7)
    assert [list(pair) for pair in generator.sample(random=True)] == case["sample_random_seed7"]


@pytest.mark.parametrize("case", CASES)
def test_golden_iterator(case):
    generator = Generator(iter(case["data"]), case["batch_size"])
    assert generator.steps is case["iterator_steps"] is None
    assert [list(pair) for pair in generator.sample()] == case["iterator_sample"]
    np.random.seed(8)
    generator = Generator(iter(case["data"]), case["batch_size"], buffer_size=3)
    assert [list(pair) for pair in generator.sample(random=True)] == case["iterator_random_seed8_buffer3"]


# -- the protocol ----------------------------------------------------------------------------------------------


def test_streams_are_iterators_of_what_was_yielded():
    generator = Generator([[1], [2, 3], [4]], 2)
    (ids,), sums = next(generator.forfit(random=False))
    assert isinstance(ids, np.ndarray) and ids.tolist() == [[1, 0], [2, 3]] and sums.tolist() == [[1], [5]]
    for inputs, targets in generator.forfit():
        assert isinstance(inputs, list) and targets.shape[1] == 1
        break
    stream = generator.fortest()
    assert iter(stream) is stream
    assert [len(inputs[0]) for inputs in stream] == [2, 1]
    with pytest.raises(StopIteration):
        next(stream)


def test_forfit_shuffles_each_pass_and_is_repeatable():
    generator = Generator([[n] for n in range(50)], 50)
    np.random.seed(3)
    stream = generator.forfit()
    first, second = next(stream)[1].ravel().tolist(), next(stream)[1].ravel().tolist()
    assert sorted(first) == sorted(second) == list(range(50)) and first != second
    np.random.seed(3)
    again = generator.forfit()
    np.random.rand(5)  # what a script draws afterwards changes nothing
    assert [next(again)[1].ravel().tolist() for _ in range(2)] == [first, second]


def test_nothing_is_rebatched():
    class Pairs(DataGenerator):  # SimCSE: rows 2i and 2i + 1 belong together, batches have uneven sizes
        def __iter__(self, random=False):
            for _, d in self.sample(random):
                yield np.repeat(d, 2 * d), None

    stream = Pairs([1, 2, 3], 2).forfit(random=False)
    assert [len(next(stream)[0]) for _ in range(4)] == [2, 4, 6, 2]


def test_data_that_can_be_read_once():
    stream = Generator(iter([[1], [2], [3]]), 2).forfit()
    assert sum(len(targets) for _, targets in stream) == 3


def test_data_that_starts_anew():
    class Corpus:
        def __iter__(self):
            return iter([[1], [2], [3]])

    stream = Generator(Corpus(), 2).forfit(random=False)
    assert [next(stream)[1].sum() for _ in range(4)] == [3, 3, 3, 3]


def test_collate():
    (ids,), lengths = next(Endings([[5] * 3, [6] * 18], 2).forfit(random=False))
    assert ids.shape == (2, 32) and lengths.tolist() == [[3], [18]]


def test_errors():
    with pytest.raises(ValueError, match="batch_size must be at least 1, got 0"):
        DataGenerator([1], 0)
    with pytest.raises(ValueError, match="bucket_window must be at least 1"):
        DataGenerator([1], 2, bucket_window=0)
    with pytest.raises(TypeError, match="data must be a list of samples or an iterable, got int"):
        DataGenerator(5)
    with pytest.raises(ValueError, match="Generator has no samples"):
        next(Generator([]).forfit())
    with pytest.raises(NotImplementedError, match="DataGenerator must define __iter__"):
        next(DataGenerator([1]).forfit())
    with pytest.raises(TypeError, match="Generator has no length.*steps_per_epoch"):
        len(Generator(iter([1])))

    class Nothing(DataGenerator):
        def __iter__(self, random=False):
            return iter(())

    with pytest.raises(ValueError, match="yielded no batch"):
        next(Nothing([1]).forfit())


# -- how Keras reads a stream ----------------------------------------------------------------------------------


def numbers(batches, count):
    return [int(next(batches)[0][0]) for _ in range(count)]


def counting(limit=None):
    passes = []

    def make_pass():
        passes.append(len(passes))
        n = 0
        while limit is None or n < limit:
            yield np.array([100 * passes[-1] + n]), None
            n += 1

    return make_pass


def test_readers_lose_nothing_to_a_trial_and_then_start_anew():
    stream = BatchStream(counting())
    assert numbers(stream._batches(), 2) == [0, 1]  # a model is built
    assert numbers(stream._batches(), 10) == list(range(10))
    assert numbers(stream._batches(), 3) == [100, 101, 102]
    assert numbers(stream._batches(), 3) == [200, 201, 202]
    long = BatchStream(counting())
    assert numbers(long._batches(), TRIAL_BATCHES + 1)[-1] == TRIAL_BATCHES
    assert numbers(long._batches(), 1) == [100]


def test_readers_of_data_that_can_be_read_once_go_on():
    stream = BatchStream(counting(), can_restart=False)
    assert numbers(stream._batches(), 1) == [0]
    assert numbers(stream._batches(), 10) == list(range(10))
    assert numbers(stream._batches(), 2) == [10, 11]


def test_an_older_reader_stops():
    stream = BatchStream(counting())
    old = stream._batches()
    assert numbers(old, 1) == [0]
    assert numbers(stream._batches(), 1) == [0]
    with pytest.raises(StopIteration):
        next(old)


def test_scripts_and_keras_share_one_pass():
    stream = BatchStream(counting(4))
    assert [int(batch[0][0]) for batch in stream._peek(2)] == [0, 1]
    assert int(next(stream)[0][0]) == 0
    assert numbers(stream._batches(), 3) == [1, 2, 3]


def test_tuples_for_keras():
    a, b = np.zeros(2, "float32"), np.ones(2, "float32")
    stream = BatchStream(counting())
    assert stream._as_tuple((np.zeros(2), None))[0].dtype == "float32"  # as Keras makes of arrays it is given
    assert stream._as_tuple(([a, b], None)) == ([a, b],)
    assert len(stream._as_tuple(([a, b], a))) == 2
    assert len(stream._as_tuple([a, b])) == 2
    assert stream._as_tuple(a)[0] is a
    assert stream._as_tuple({"x": a})[0] == {"x": a}
    assert stream._as_tuple(([a], [1, 0]))[1].tolist() == [1, 0]
    assert BatchStream(counting(), inputs_only=True)._as_tuple([a, b]) == ([a, b],)
    with pytest.raises(ValueError, match="got 4 parts.*a list of their own"):
        stream._as_tuple((a, a, a, a))


def test_batches_are_prepared():
    stream = BatchStream(lambda: iter([([np.zeros(2)], None)]))
    stream.prepare_by(lambda inputs, targets: (inputs, np.ones(2, "int64")))
    inputs, targets = next(stream._batches())
    assert isinstance(inputs, list) and targets.tolist() == [1, 1]


# -- buckets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "sample, length",
    [
        ("中文字", 3),
        (("中文", 1), 2),
        (["ab", "cde", 0], 5),
        ({"text": "abcd", "label": 3}, 4),
        ([5, 6, 7], 3),
        (([5, 6, 7], 1), 3),
        (("ab", [(0, 1), (1, 2)]), 6),
        (np.zeros(4), 4),
        (7, 0),
    ],
)
def test_sample_length(sample, length):
    assert sample_length(sample) == length


def text_of(n, letter="x"):
    return letter * n


def pure(batches):
    """Tell whether no two batches overlap in length."""
    lengths = sorted(sorted(map(len, batch)) for batch in batches)
    return all(first[-1] <= second[0] for first, second in zip(lengths, lengths[1:], strict=False))


def test_bucketed_keeps_all_samples_and_sorts_within_windows():
    np.random.seed(0)
    samples = [text_of(n) for n in np.random.randint(1, 100, 107)]
    served = list(bucketed(samples, 10, 4))
    assert sorted(served) == sorted(samples)
    assert sorted(served[:40]) == sorted(samples[:40])
    batches = [served[i : i + 10] for i in range(0, 107, 10)]
    assert pure(batches[:4])
    # The last window is not full and goes with the one before it; the incomplete batch has the longest samples.
    assert pure(batches[4:])
    assert min(map(len, batches[-1])) >= max(map(len, served[40:100]))
    assert not pure(batches)


@pytest.mark.parametrize("count", [1, 9, 10, 11, 40, 41, 80])
def test_bucketed_any_number_of_samples(count):
    np.random.seed(0)
    samples = [text_of(n) for n in np.random.randint(1, 100, count)]
    assert sorted(bucketed(samples, 10, 4)) == sorted(samples)


def test_bucketed_shuffles_batches_and_depends_on_the_seed_alone():
    samples = [text_of(n) for n in range(1, 101)]
    orders = set()
    for seed in range(20):
        np.random.seed(seed)
        order = tuple(map(len, bucketed(samples, 10, 10)))
        np.random.seed(seed)
        assert tuple(map(len, bucketed(samples, 10, 10))) == order
        orders.add(order)
    assert len(orders) == 20
    assert len({order[0] for order in orders}) > 3
    with pytest.raises(ValueError, match="bucket_window must be a positive number"):
        next(bucketed(samples, 10, 0))


@pytest.mark.parametrize("known_length", [True, False])
def test_few_shapes(known_length):
    """50 lengths up to 128, 3 passes: at most 9 shapes, though each length is padded to a multiple only."""
    np.random.seed(1)
    lengths = np.random.choice(np.arange(3, 129), 50, replace=False)
    data = [[1] * n for n in np.random.choice(lengths, 1000)]

    class Corpus:
        def __iter__(self):
            return iter(data)

    generator = Endings(data if known_length else Corpus(), 16, bucket_window=20)
    stream = generator.forfit()
    batches = [next(stream) for _ in range(3 * 63)]
    shapes = {inputs[0].shape for inputs, _ in batches}
    assert len(shapes) <= 9
    assert sum(len(targets) for _, targets in batches) == 3000
    assert sum(len(targets) < 16 for _, targets in batches) == 3  # 1000 = 62 * 16 + 8


def test_classic_subclass_gets_buckets_by_argument():
    np.random.seed(2)
    data = [[1] * n for n in np.random.randint(3, 129, 640)]

    def padded_share(generator):
        stream = generator.forfit()
        arrays = [next(stream)[0][0] for _ in range(len(generator))]
        return 1 - sum(array.sum() for array in arrays) / sum(array.size for array in arrays)

    shuffled = padded_share(Generator(data, 16))
    in_buckets = padded_share(Generator(data, 16, bucket_window=20, length_of=len))
    assert in_buckets < shuffled / 4


def test_prediction_keeps_the_order():
    data = [[n] * n for n in (5, 1, 4, 2, 3)]
    generator = Endings(data, 2, bucket_window=2)
    rows = [row for (ids,) in generator.fortest() for row in ids]
    assert [row[0] for row in rows] == [5, 1, 4, 2, 3]
    rows = [row for (ids,), _ in generator for row in ids]
    assert [row[0] for row in rows] == [5, 1, 4, 2, 3]


def test_options_as_class_attributes():
    class Named(Endings):
        bucket_window = 10

        def length_of(self, sample):
            return -len(sample)

    np.random.seed(0)
    data = [[1] * n for n in range(1, 31)]
    stream = Named(data, 3).forfit()
    assert all(np.ptp(next(stream)[1]) == 2 for _ in range(10))


def test_import_brings_no_framework():
    script = "import sys, bert4keras2.snippets; print({'keras', 'tensorflow', 'jax', 'torch'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert run.stdout.strip() == "set()", run.stderr
