"""Loading and saving a model's weights: which variable is which in a checkpoint."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.folder import copy_companions
from bert4keras2.checkpoints.formats.safetensors import write_safetensors
from bert4keras2.checkpoints.formats.tensorflow_write import write_tensorflow
from bert4keras2.checkpoints.loader import Binding, load_bindings, saved_arrays, table_for
from bert4keras2.checkpoints.names.recognise import suggestion
from bert4keras2.checkpoints.readers import open_checkpoint, open_names
from bert4keras2.errors import CheckpointMismatchError
from bert4keras2.families.family import OWN, TASK, Place, Table
from bert4keras2.families.table import page
from bert4keras2.functional import keras_private
from bert4keras2.layers import Embedding
from bert4keras2.models.export import save_huggingface
from bert4keras2.models.resize import Resizer

__all__ = ["CheckpointMixin", "refuse_giants"]

_GIANT = 2**28  # values: a gigabyte

# What `merged_values` adds to other variables.
MERGED = re.compile(r"lora_kernel_[ab]$|/prompt/")

# Variables with one entry per token of the vocabulary, and the axis of those entries.
VOCABULARY = {"Embedding-Token/embeddings": 0, "MLM-Bias/beta": 0, "Decoder-Output-LM/kernel": 1}


class CheckpointMixin:
    """The part of a `Transformer` that exchanges weights with checkpoints."""

    config: Any
    layers: dict[str, Any]
    #: Names, without prefix, of layers that a task put on top and that are written beside the model's own.
    task_layers: frozenset[str] = frozenset()
    #: The folder that the model was loaded from, whose vocabulary is its own; None if there was none.
    source: str | None = None

    def _variables(self) -> Iterator[tuple[str, int, str, Any]]:
        """Yield (layer name without prefix, position in the layer, path without prefix, variable) of all weights."""
        for name, layer in self.layers.items():
            plain = name.removeprefix(self.config.prefix)
            # What LoRA and P-tuning have put there is saved with the matrices that it belongs to.
            own = [variable for variable in layer.weights if not MERGED.search(variable.path)]
            for position, variable in enumerate(own):
                yield plain, position, f"{plain}/{variable.path.rsplit(f'{name}/', 1)[-1]}", variable

    def variable_mapping(self) -> dict[str, list[str]]:
        """Return {layer name: names of its weights in a TensorFlow checkpoint, in the order of `layer.weights`}.

        Subclasses that add layers override it and extend the result.
        """
        table = table_for(self.config.family, "tensorflow")
        mapping: dict[str, list[str]] = {}
        for layer, _, path, _ in self._variables():
            found = table.find(path) or self._own_place(layer, path, "tensorflow")
            if found.names:
                mapping.setdefault(layer, []).append(found.names[0])
        return mapping

    def load_weights_from_checkpoint(
        self,
        checkpoint_path: str | os.PathLike,
        mapping: dict[str, list[str]] | None = None,
        progress: bool | None = None,
    ) -> None:
        """Fill the model from a TensorFlow checkpoint, a safetensors file or a PyTorch file, one variable at a time.

        Args:
            checkpoint_path: prefix of the TensorFlow files, or the file; its content says what it is.
            mapping: {layer name: names in the checkpoint} to use instead of the family's own.
            progress: show a bar; if None, on a terminal, where it takes some seconds.

        Raises:
            FileNotFoundError: if there is no such checkpoint.
            CheckpointMismatchError: if it lacks something that the model needs, or shapes differ.
        """
        with open_checkpoint(checkpoint_path) as reader:
            if reader.format in ("keras2_hdf5", "tensorflow_objects"):
                self.model.load_weights(checkpoint_path)
                return
            source = "tensorflow" if reader.format == "tensorflow" else "huggingface"
            table = table_for(self.config.family, source, reader)
            bindings = self._bindings(source, mapping, table)
            hint = suggestion(reader, self.config)
            load_bindings(reader, bindings, table, self.config.ignore_invalid_weights, hint, progress)

    def save_weights_as_checkpoint(
        self, path: str | os.PathLike, mapping: dict[str, list[str]] | None = None, dtype: str | None = None
    ) -> None:
        """Write the weights under the names of released checkpoints.

        Args:
            path: prefix of a TensorFlow checkpoint, or a file ending in ".safetensors" for Hugging Face names.
            mapping: {layer name: names} to use instead of the family's own.
            dtype: type of the floating arrays, such as "float16"; float32 if None.

        Raises:
            ValueError: if the model has adapters or prefixes, which checkpoints have no place for.
        """
        path = os.fspath(path)
        added = [name for _, _, name, _ in self._variables() if re.search("/(adapter|prefix)/", name)]
        if added:
            raise ValueError(
                f"a checkpoint has no place for {added[0]} and the like: bert4keras2.training.save_trainable writes"
                " what has learnt beside the checkpoint that it was learnt on, and model.save all of it"
            )
        source = "huggingface" if path.endswith(".safetensors") else "tensorflow"
        table = table_for(self.config.family, source)
        arrays = saved_arrays(self._bindings(source, mapping), table, dtype)
        if source == "huggingface":
            write_safetensors(path, arrays, metadata={"format": "pt"})
        else:
            write_tensorflow(path, arrays)

    def save_pretrained(
        self,
        folder: str | os.PathLike,
        dtype: str | None = None,
        vocabulary: str | os.PathLike | None = None,
        also: dict[str, Any] | None = None,
    ) -> None:
        """Write config.json and model.safetensors as Hugging Face's transformers reads them, and the vocabulary.

        Args:
            folder: where to; it is made.
            dtype: type of the floating arrays, such as "float16"; float32 if None.
            vocabulary: checkpoint, by folder or name, whose vocabulary's files are copied. If None, those of the one
                that the model was loaded from, unless keep_tokens or compound_tokens left other ids than it has.
            also: further keys of config.json, which win over the model's own.

        Raises:
            CheckpointNotFoundError: if the vocabulary is no folder and no known name.
            ValueError: if Hugging Face's format has no place for the model.
        """
        if vocabulary is not None:
            vocabulary = resolve(vocabulary, weights=False)
        elif self.source is not None and os.path.isdir(self.source) and not _picks(self.config):
            vocabulary = self.source
        save_huggingface(self, folder, dtype, also)
        if vocabulary is not None:
            copy_companions(vocabulary, folder)

    def _own_place(self, layer: str, path: str, source: str) -> Place:
        """Return where a variable is that no released checkpoint has; without names if it is none of those.

        Its name follows its path. A model of a released family may have it by an option of the call, so there a
        checkpoint may lack it.
        """
        own = page(self.config.family).own and layer not in self.task_layers
        if not own and not getattr(self.layers[self.prefixed(layer)], "stored_by_path", False):
            return Place([])
        name = f"{OWN}/{path}"
        name = name if source == "tensorflow" else f"/{name.replace('/', '.')}"
        return Place([name], optional=not own)

    def _bindings(self, source: str, mapping: dict[str, list[str]] | None, table: Table | None = None) -> list[Binding]:
        """Return what each variable is called in a source, by a table (if None the usual one) or a mapping."""
        usual = table_for(self.config.family, source)
        table = usual if table is None else table
        by_layer = mapping
        if mapping is None and source == "tensorflow" and table is usual:
            # What subclasses override speaks of the usual layout of TensorFlow checkpoints.
            by_layer = self.variable_mapping()
        resizer = Resizer(self.config) if self.config.autoresize_weights else None
        bindings, merged = [], {}
        for layer in self.layers.values():
            merged |= merged_values(layer)
        for layer, position, path, variable in self._variables():
            place = table.find(path) or Place([])
            if layer in self.task_layers and source == "huggingface" and not place.names:
                place = Place([f"/{TASK[:-1]}{path.replace('/', '.')}"])
            if not place.names:
                place = self._own_place(layer, path, source)
            if by_layer is not None:
                given = by_layer.get(layer, by_layer.get(self.prefixed(layer), []))[position : position + 1]
                # A mapping gives one name; where that is the table's own, its aliases stand too.
                if place.names[:1] != given:
                    place = Place(given, place.transpose)
            if place.names:
                picks = path in VOCABULARY and _picks(self.config)
                forward = PickRows(self.config, VOCABULARY[path]) if picks else None
                resize = resizer.for_variable(path) if resizer else None
                bindings.append(Binding(variable, path, place, forward, resize, merged.get(id(variable))))
        return bindings


def merged_values(layer: Any) -> dict[int, Callable[[], np.ndarray]]:
    """Return {id of a variable: a function that returns what is saved of it} for those that something is added to.

    Args:
        layer: a layer of a model, whose inner layers may have LoRA's matrices or rows that learn by themselves.
    """
    found: dict[int, Callable[[], np.ndarray]] = {}
    for part in keras_private.inner_layers(layer, include_self=True):
        if isinstance(part, keras.layers.Dense) and part.lora_enabled:
            found[id(keras_private.raw_kernel(part))] = lambda part=part: ops.convert_to_numpy(part.kernel)
        elif isinstance(part, Embedding) and part.prompt is not None:
            found[id(keras_private.own_variables(part)[0])] = part.merged
    return found


def refuse_giants(config: Any, checkpoint: str | os.PathLike, file_path: str | None) -> None:
    """Raise, before anything is allocated, when a checkpoint cannot fill a model that takes gigabytes.

    Smaller ones are built, and the loader then lists all that does not fit.

    Args:
        config: the model's `Config`.
        checkpoint: what `open_checkpoint` takes.
        file_path: the file that the configuration is from, None for a call's arguments.

    Raises:
        CheckpointMismatchError: if it holds fewer values than token embeddings and feed-forward networks have.
    """
    if config.autoresize_weights or config.ignore_invalid_weights:
        return
    blocks = min(config.num_hidden_layers, 1) if config.share_blocks else config.num_hidden_layers
    needed = config.vocab_size * config.embedding_width + blocks * config.hidden_size * config.intermediate_size
    if needed <= _GIANT:
        return
    with open_names(checkpoint) as reader:
        held = sum(math.prod(reader.shape(name)) for name in reader.names())
    if held < needed:
        raise CheckpointMismatchError(
            f"{os.fspath(checkpoint)} holds {held:,} values, and the model needs {needed:,} for its token embeddings "
            f"and feed-forward networks alone: vocab_size {config.vocab_size}, hidden_size {config.hidden_size}, "
            f"intermediate_size {config.intermediate_size}, {config.num_hidden_layers} blocks "
            f"({'arguments of the call' if file_path is None else file_path})"
        )


def _picks(config: Any) -> bool:
    return config.keep_tokens is not None or bool(config.compound_tokens)


class PickRows:
    """Entries of the vocabulary after keep_tokens and compound_tokens.

    keep_tokens picks entries; each of compound_tokens then adds the (weighted) mean of entries of the result.

    Args:
        config: the model's configuration.
        axis: of the entries in the stored array.
    """

    def __init__(self, config: Any, axis: int = 0):
        self.keep, self.compound, self.axis = config.keep_tokens, config.compound_tokens, axis
        self.rows_needed = config.vocab_size

    def stored_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """Return the shape that the stored array must have to give the model's."""
        return (*shape[: self.axis], self.rows_needed, *shape[self.axis + 1 :])

    def __call__(self, array: np.ndarray) -> np.ndarray:
        """Return the model's entries of a stored table (V, D) or (D, V), or vector (V)."""
        axis = self.axis
        if self.keep is not None:
            array = np.take(array, np.asarray(self.keep, "int64"), axis)
        new = []
        for compound in self.compound or ():
            ids, weights = compound if isinstance(compound, tuple) else (compound, None)
            new.append(np.average(np.take(array, np.asarray(ids, "int64"), axis), axis=axis, weights=weights))
        return np.concatenate([array, np.stack(new, axis).astype(array.dtype)], axis) if new else array
