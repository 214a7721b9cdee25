"""TensorFlow checkpoints: name based ones, the object based ones of tf.keras `save_weights`, and a streaming writer.

TensorFlow does the reading and writing, and is imported when the first such file is opened. Neither needs its eager
runtime, so under the JAX and torch backends no GPU memory is claimed.
"""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable
from types import ModuleType
from typing import Any

import numpy as np

from bert4keras2.checkpoints.formats.errors import CheckpointDamagedError, CheckpointError
from bert4keras2.checkpoints.formats.reader import Reader
from bert4keras2.checkpoints.formats.sniff import checkpoint_prefix
from bert4keras2.checkpoints.formats.tensorflow_index import OBJECT_GRAPH, check_data_files, read_index
from bert4keras2.files import scratch_folder

__all__ = ["TensorFlowObjectsReader", "TensorFlowReader", "open_tensorflow", "write_tensorflow"]

_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_NOT_LAYERS = {"root", "signatures", "keras_api", "optimizer", "save_counter"}


class TensorFlowReader(Reader):
    """A name based checkpoint (`bert_model.ckpt`); names, as in the file, like 'bert/embeddings/word_embeddings'."""

    format = "tensorflow"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        _refuse_patterns(path)
        self._keys: dict[str, str] = {}  # our name -> key in the file
        tf = _tensorflow(path)
        try:
            self._tf: Any = tf.train.load_checkpoint(path)
            shapes, types = self._tf.get_variable_to_shape_map(), self._tf.get_variable_to_dtype_map()
        except Exception as error:  # TensorFlow raises anything from OpError to IndexError here
            raise CheckpointDamagedError(
                f"TensorFlow cannot open the checkpoint {path!r}; its index is probably damaged, download it again. "
                f"TensorFlow says: {error}"
            ) from error
        for key in sorted(shapes):
            name = self._name(key)
            if name is not None:
                self._keys[name] = key
                self._entries[name] = tuple(shapes[key]), np.dtype(types[key].as_numpy_dtype).name

    def _name(self, key: str) -> str | None:
        return key

    def _read(self, name: str) -> np.ndarray:
        return np.asarray(self._get(self._keys[name]))

    def _get(self, key: str) -> Any:
        try:
            return self._tf.get_tensor(key)
        except Exception as error:
            if "hecksum" in str(error):
                what = "its bytes have changed (the checksum does not match)"
            elif "ess bytes than requested" in str(error) or "No such file" in str(error):
                what = "its bytes are missing from the data file"
            else:
                what = "TensorFlow fails"
            raise CheckpointDamagedError(
                f"Cannot read {key!r} from {self.path!r}: {what}. The checkpoint is damaged or incomplete, download "
                f"it again. TensorFlow says: {error}"
            ) from error

    def _release(self) -> None:
        self._tf = None


class TensorFlowObjectsReader(TensorFlowReader):
    """An object based checkpoint, as tf.keras wrote with `save_weights('best_model.weights')`.

    Names are the paths of the objects, 'layer_with_weights-4/q_dense/kernel' (in the file they end in
    '/.ATTRIBUTES/VARIABLE_VALUE', which `read` accepts too). `layers` and `full_names` tell what they belong to.
    """

    format = "tensorflow_objects"

    def __init__(self, path: str) -> None:
        super().__init__(path)
        from tensorflow.core.protobuf import trackable_object_graph_pb2

        graph = trackable_object_graph_pb2.TrackableObjectGraph()
        graph.ParseFromString(self._get(OBJECT_GRAPH))
        self._nodes = graph.nodes

    def layers(self) -> list[tuple[str, list[tuple[str, str]]]]:
        """Return the layers that have variables, in the order of the model.

        Returns:
            Pairs of the layer's key ('layer_with_weights-4') and its variables, each as the attribute path inside of
            the layer ('q_dense/kernel') and the name for `read`; a variable that two layers share is listed in both.
        """
        children = {child.local_name: child.node_id for child in self._nodes[0].children}
        numbered = [key for key in children if re.fullmatch(r"layer_with_weights-\d+", key)]
        if numbered:
            keys = sorted(numbered, key=lambda key: int(key.rpartition("-")[2]))
        else:
            keys = [key for key in children if key not in _NOT_LAYERS]
        found = [(key, self._variables(key, children[key])) for key in keys]
        return [(key, variables) for key, variables in found if variables]

    def full_names(self) -> dict[str, str]:
        """Return the variables' own names ('Transformer-0-FeedForward/dense/kernel'), where the file has them."""
        return {
            self._name(attribute.checkpoint_key): attribute.full_name
            for node in self._nodes
            for attribute in node.attributes
            if attribute.full_name and self._name(attribute.checkpoint_key) in self._entries
        }

    def _variables(self, layer: str, start: int) -> list[tuple[str, str]]:
        found, seen, queue = [], {start}, [("", start)]
        while queue:
            path, number = queue.pop(0)
            for attribute in self._nodes[number].attributes:
                name = self._name(attribute.checkpoint_key)
                if attribute.name == "VARIABLE_VALUE" and name in self._entries:
                    # The key has the path under which the variable was stored, unless another layer owns it.
                    own = name.startswith(layer + "/")
                    found.append((name[len(layer) + 1 :] if own else path, name))
            for child in self._nodes[number].children:
                if child.node_id not in seen and child.local_name not in _NOT_LAYERS:
                    seen.add(child.node_id)
                    queue.append((f"{path}/{child.local_name}".lstrip("/"), child.node_id))
        return found

    def _name(self, key: str) -> str | None:
        return None if key == OBJECT_GRAPH else key.removesuffix(_VALUE)

    def _resolve(self, name: str) -> str:
        return name.removesuffix(_VALUE)


def open_tensorflow(prefix: str, data_required: bool = True) -> TensorFlowReader:
    """Open a TensorFlow checkpoint of either kind.

    Args:
        prefix: the path without `.index`, or a V1 file.
        data_required: whether absent or short data files are an error at once.

    Returns:
        A `TensorFlowObjectsReader` when the file has an object graph, else a `TensorFlowReader`.

    Raises:
        CheckpointNotFoundError, CheckpointDamagedError, CheckpointFormatError: see `open_checkpoint`.
    """
    index = None
    if os.path.isfile(prefix + ".index"):
        index = read_index(prefix + ".index")
        if index is not None and data_required:
            try:
                check_data_files(prefix, index)
            except CheckpointError:
                # TensorFlow verifies the index's checksums; if they fail, the sizes in it mean nothing.
                TensorFlowReader(prefix).close()
                raise
    if index is not None and OBJECT_GRAPH in index.entries:
        return TensorFlowObjectsReader(prefix)
    return TensorFlowReader(prefix)


def write_tensorflow(
    path: str | os.PathLike[str], variables: Iterable[tuple[str, np.ndarray]], shard_bytes: int = 64 * 2**20
) -> str:
    """Write a name based TensorFlow checkpoint, a bounded number of bytes at a time.

    The variables are taken from the iterable one after another and saved in data files of about `shard_bytes`; all
    files are complete before the first is renamed to its final name, the index last. One small checkpoint is the usual
    pair `.index` and `.data-00000-of-00001`.

    Args:
        path: the prefix, e.g. 'folder/bert_model.ckpt' (an `.index` at the end is dropped); the folder is made.
        variables: pairs of name and numeric array; may be a generator.
        shard_bytes: size in bytes that closes a data file; a larger variable gets one of its own.

    Returns:
        The prefix that was written.

    Raises:
        CheckpointError: no variables, a name twice or empty, values that are not numeric, or a path that TensorFlow
            would take for a pattern.
    """
    prefix = checkpoint_prefix(os.path.abspath(os.fspath(path)))
    _refuse_patterns(prefix)
    with scratch_folder(prefix) as work:
        parts = _write_parts(work, prefix, variables, shard_bytes)
        if len(parts) > 1:
            _run(lambda raw: raw.MergeV2Checkpoints(
                checkpoint_prefixes=parts, destination_prefix=os.path.join(work, "all"), delete_old_dirs=False
            ))  # fmt: skip
            made = os.path.join(work, "all")
        else:
            made = parts[0]
        fresh = set()
        for source in sorted(glob.glob(glob.escape(made) + ".data-*")):
            fresh.add(prefix + source[len(made) :])
            os.replace(source, prefix + source[len(made) :])
        os.replace(made + ".index", prefix + ".index")
        for old in glob.glob(glob.escape(prefix) + ".data-[0-9]*-of-[0-9]*"):
            if old not in fresh:
                os.remove(old)  # left over from a checkpoint that had another number of data files
    return prefix


def _write_parts(work: str, target: str, variables: Iterable[tuple[str, np.ndarray]], limit: int) -> list[str]:
    parts: list[str] = []
    seen: set[str] = set()
    batch: dict[str, np.ndarray] = {}

    def flush() -> None:
        parts.append(os.path.join(work, f"part{len(parts)}"))
        names = list(batch)
        _run(
            lambda raw, *tensors: raw.SaveV2(
                prefix=parts[-1], tensor_names=names, shape_and_slices=[""] * len(names), tensors=list(tensors)
            ),
            [batch[name] for name in names],
        )
        batch.clear()

    size = 0
    for name, value in variables:
        value = np.asarray(value)
        if not name or name in seen:
            problem = f"the name {name!r} comes twice" if name else "a variable has an empty name"
            raise CheckpointError(f"Cannot write {target!r}: {problem}; every variable needs a name of its own.")
        if value.dtype.hasobject or value.dtype.kind in "USMm":
            raise CheckpointError(f"Cannot write {name!r} to {target!r}: {value.dtype} is not a numeric type.")
        if batch and size + value.nbytes > limit:
            flush()
            size = 0
        seen.add(name)
        batch[name] = _aligned(value)
        size += value.nbytes
        del value  # or it would stay alive while the next one is made
    if batch:
        flush()
    if not parts:
        raise CheckpointError(f"Cannot write {target!r}: there are no variables to write.")
    return parts


def _aligned(value: np.ndarray) -> np.ndarray:
    """Copy an array to an address that TensorFlow uses as it is; it would make a second copy of any other."""
    room = np.empty(value.nbytes + 64, np.uint8)
    start = -room.ctypes.data % 64
    copy = room[start : start + value.nbytes].view(value.dtype.newbyteorder("=")).reshape(value.shape)
    copy[...] = value
    return copy


def _refuse_patterns(path: str) -> None:
    if any(sign in path for sign in "*?["):
        raise CheckpointError(
            f"TensorFlow takes '*', '?' and '[' in a path for a pattern and cannot read {path!r}. Rename the folder or "
            "the files."
        )


def _run(operation: Any, values: Iterable[np.ndarray] = ()) -> None:
    """Run one operation in a session of its own that sees no GPU; `operation(tf.raw_ops, *tensors)` builds it."""
    tf = _tensorflow()
    config = tf.compat.v1.ConfigProto(device_count={"GPU": 0})
    with tf.Graph().as_default(), tf.compat.v1.Session(config=config) as session:
        values = list(values)
        inputs = [tf.compat.v1.placeholder(value.dtype, value.shape) for value in values]
        session.run(operation(tf.raw_ops, *inputs), dict(zip(inputs, values, strict=True)))


def _tensorflow(path: str | None = None) -> ModuleType:
    """Import TensorFlow, without its start-up notes when nobody has set how much it shall say.

    Args:
        path: the checkpoint that is to be read, for the message; None when one is to be written.

    Raises:
        ImportError: if TensorFlow is not installed, with what to do about it.
    """
    quiet = "tensorflow" not in sys.modules and "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    if quiet:
        os.environ["TF_CPP_MIN_LOG_LEVEL"] = "1"  # notes off, warnings and errors stay
    try:
        import tensorflow
    except ImportError as error:
        if path is None:
            what, instead = "Writing a TensorFlow checkpoint", "write safetensors instead"
        else:
            what = f"Reading the TensorFlow checkpoint {path!r}"
            instead = "convert it to safetensors on a machine that has TensorFlow (bert4keras2 convert SOURCE TARGET)"
        raise ImportError(
            f"{what} needs TensorFlow, which cannot be imported ({error}). Run 'pip install tensorflow', or {instead}."
        ) from error
    finally:
        if quiet:
            del os.environ["TF_CPP_MIN_LOG_LEVEL"]
    return tensorflow
