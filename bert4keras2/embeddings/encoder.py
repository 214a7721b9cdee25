"""`SentenceEncoder`: texts to vectors, with a model and its tokenizer."""

from __future__ import annotations

import functools
import operator
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.embeddings.batches import WINDOW, TextBatches
from bert4keras2.embeddings.compiled import Compiled
from bert4keras2.embeddings.exported import export_vectors, in_onnx, load_exported
from bert4keras2.embeddings.modules import read_modules
from bert4keras2.embeddings.packed import PackedVectors
from bert4keras2.embeddings.pooling import check_pooling, vector_model
from bert4keras2.embeddings.saving import save_encoder
from bert4keras2.embeddings.whiten import Whitening, whitening
from bert4keras2.exporting import ExportedModel, described
from bert4keras2.models import build_transformer_model
from bert4keras2.progress import progress_bar
from bert4keras2.settings import check_choice
from bert4keras2.tokenizers import load_tokenizer

__all__ = ["SentenceEncoder"]

ENGINES = ("keras", "onnx")


class SentenceEncoder:
    """Turns texts into vectors.

    Texts are sorted by length, so that a batch has little padding, and the vectors come back in the order of the texts.
    Where each shape is compiled (JAX, XLA), batches are padded to a few lengths and numbers of rows; weights may
    change between calls, they are not copied.

    Args:
        model: a Keras model of `build_transformer_model`, or its `Transformer` (return_keras_model=False).
        tokenizer: its tokenizer.
        pooling: "mean" over the real positions of the last hidden states; "cls", their first position; "max";
            "mean_sqrt_len", the sum divided by the root of the length; "weightedmean", in which position i weighs i;
            "lasttoken"; "pooler", the output of Pooler-Dense (build the model with with_pool); "first-last", the mean
            of the masked means over the embeddings and over the last hidden states (arXiv:2103.15316). Of a list of
            names, the vectors one behind the other.
        maxlen: longest sequence of tokens; texts lose their end.
        normalize: scale vectors to length 1.
        prefix: put before each text (of a pair, before the first), such as "query: " for E5 models.
        batch_size: texts per step of the model.
        output: symbolic tensor, or name of a layer, to be pooled instead of the last hidden states; if it has the
            shape (B, C), it is the vector.
        jit_compile: use XLA on TensorFlow: seconds of compilation for each shape.
        engine: what runs the model: "keras", or "onnx" for onnxruntime, which gets a copy of the weights as they are
            (`pip install "bert4keras2[export]"`).
        layers: Keras layers that the pooled vectors go through.
        prompts: {name: what is put before each text}, for `encode(..., prompt=name)`.

    Attributes:
        model: the Keras model from ids to vectors (B, D), without `normalize` and `whitening`; None of an exported one.
        dimension: D, the width of the vectors before whitening.

    Raises:
        TypeError: if `model` or an option has the wrong type.
        ValueError: if the model lacks what `pooling` asks for, or a number is out of range.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any,
        pooling: str | Sequence[str] = "mean",
        maxlen: int = 128,
        normalize: bool = False,
        prefix: str = "",
        batch_size: int = 64,
        output: Any = None,
        jit_compile: bool = False,
        engine: str = "keras",
        layers: Sequence[Any] = (),
        prompts: Mapping[str, str] | None = None,
    ):
        check_choice("engine", engine, ENGINES)
        if isinstance(model, str | os.PathLike):
            raise TypeError(f"SentenceEncoder takes a model, not {model!r}: SentenceEncoder.load({model!r}) loads one")
        if not hasattr(tokenizer, "encode_batch"):
            raise TypeError(
                f"tokenizer is a Tokenizer or SpTokenizer of bert4keras2.tokenizers, not {type(tokenizer).__name__}"
            )
        if not isinstance(prefix, str):
            raise TypeError(f"prefix is a str, not {type(prefix).__name__} {prefix!r:.60}")
        self.tokenizer = tokenizer
        self.pooling = pooling
        self.normalize = normalize
        self.prefix = prefix
        self.batch_size = _integer("batch_size", batch_size, 1)
        self.maxlen = _integer("maxlen", maxlen, 3)
        self.layers, self.prompts = list(layers), dict(prompts or {})
        self._source = model
        self._transformer = model if hasattr(model, "hidden_states") else getattr(model, "transformer", None)
        self._output = output
        self.model: Any = None
        if isinstance(model, ExportedModel):
            self.dimension = int(model.description.width or 0)
            self._cutter = TextBatches(model, tokenizer, self.maxlen)
            self._compiled: Any = model.run
        else:
            self.model = vector_model(model, pooling, output, self.layers)
            self.dimension = int(self.model.output_shape[-1])
            self._cutter = TextBatches(self.model, tokenizer, self.maxlen)
            self._compiled = in_onnx(self.model) if engine == "onnx" else Compiled(self.model, jit_compile)
        self._whitening: Whitening | None = None

    @classmethod
    def load(cls, folder: str | os.PathLike, **options: Any) -> SentenceEncoder:
        """Return the encoder of a released checkpoint's folder.

        A folder of sentence-transformers says in its modules.json how its vectors are made; that is what is done, but
        for what the call says otherwise. `output=`, or modules=False, leaves the file alone.

        Args:
            folder: the folder that `build_transformer_model` and `load_tokenizer` read, or the name of a repository
                on the Hugging Face hub; or what `export` wrote as ONNX, which says pooling, maxlen, prefix and
                normalize, and is run by onnxruntime.
            **options: those of `SentenceEncoder`; `tokenizer_options`, a dict for `load_tokenizer`; all others go to
                `build_transformer_model`, such as model="simbert". pooling="pooler" implies with_pool=True. Of an
                exported model: maxlen, prefix, normalize, batch_size and `threads`.

        Raises:
            FileNotFoundError: if a file is missing.
            TypeError: for an unknown option.
            ValueError: if files and options do not fit together.
        """
        own = ("pooling", "maxlen", "normalize", "prefix", "batch_size", "output", "jit_compile", "engine")
        own += ("layers", "prompts")
        chosen = {name: options.pop(name) for name in own if name in options}
        said = described(folder)
        if said is not None:
            return cls(**load_exported(folder, said, {**chosen, **options}))
        check_pooling(chosen.get("pooling", "mean"))  # before the weights are read
        obey = options.pop("modules", True) and chosen.get("output") is None
        folder = resolve(folder, progress=options.get("progress"))
        found = read_modules(folder) if obey else None
        tokenizer_options = options.pop("tokenizer_options", None) or {}
        if found is not None:
            folder, chosen = found.folder, {**found.options, **chosen}
            tokenizer_options = {**found.tokenizer_options, **tokenizer_options}
        if "pooler" in check_pooling(chosen.get("pooling", "mean")):
            options.setdefault("with_pool", True)
        tokenizer = load_tokenizer(folder, **tokenizer_options)
        model = build_transformer_model(folder, **{**options, "return_keras_model": False})
        if found is not None and "maxlen" in found.options:
            # The file counts what Hugging Face's tokenizer may give, which can be more than the model knows.
            chosen["maxlen"] = min(chosen["maxlen"], model.config.positions or chosen["maxlen"])
        return cls(model, tokenizer, **chosen)

    #: By the name that tasks have for it.
    from_checkpoint = load

    def export(self, folder: str | os.PathLike, to: str = "onnx", int8: bool = False, **options: Any) -> str:
        """Write the model from ids to vectors for another program, and what texts are made into ids by.

        Args:
            folder: where to; as ONNX, `SentenceEncoder.load` reads it. A whitening is not part of it.
            to: "onnx", "saved_model", "litert" or "openvino".
            int8: matrices of eight bits ("onnx", "litert").
            **options: `opset` for ONNX.

        Returns:
            What was written and how it compares, in words.

        Raises:
            ImportError: if a package of the format is not installed.
            ValueError: if the model is exported already, or cannot be.
        """
        return export_vectors(self, self._transformer, folder, to, int8, **options)

    def save(self, folder: str | os.PathLike) -> None:
        """Write model, vocabulary and how vectors are made as a folder of sentence-transformers; `load` reads it.

        A whitening is written as a dense layer, which computes the same.

        Args:
            folder: where to; it is made.

        Raises:
            ValueError: if there is no `Transformer` to write, or one of `layers` has no module there.
            OSError: if the disk takes no more.
        """
        save_encoder(self, self._source, folder)

    @property
    def whitening(self) -> Whitening | None:
        """What is applied to the vectors last; None for nothing. Fit it on what `encode` returns without it."""
        return self._whitening

    @whitening.setter
    def whitening(self, value: Whitening | None) -> None:
        if value is not None:
            if not isinstance(value, Whitening):
                raise TypeError(f"encoder.whitening is a Whitening or None, not {type(value).__name__}")
            if value.kernel.shape[0] != self.dimension:
                raise ValueError(
                    f"the whitening takes vectors of {value.kernel.shape[0]} numbers, not {self.dimension}"
                )
        self._whitening = value

    def fit_whitening(self, texts: Sequence[str], k: int | None = None, progress: bool | None = None) -> Whitening:
        """Fit a whitening on texts, attach it and return it.

        Args:
            texts: as many as there are: more than k.
            k: dimensions to keep, all by default.
            progress: as for `encode`.
        """
        before, self._whitening = self._whitening, None
        try:
            before = whitening(self.encode(texts, progress=progress), k)
        finally:
            self._whitening = before
        return before

    def encode(
        self,
        texts: str | Iterable[str],
        pairs: str | Iterable[str] | None = None,
        progress: bool | None = None,
        prompt: str | None = None,
        packed: bool = False,
    ) -> np.ndarray:
        """Return the vectors of texts or of pairs of texts.

        Args:
            texts: N texts, or one.
            pairs: their N second texts (or one), if pairs are to be encoded.
            progress: show a bar; if None, on a terminal, where it takes some seconds.
            prompt: name of one of `prompts`, which then takes the place of `prefix`.
            packed: put several texts into each row of the model, where no text sees another: nothing is computed of
                padding, however different the lengths are. `batch_size` counts rows then.

        Returns:
            (N, D) float32, D = k with a whitening; (D,) for one text.

        Raises:
            TypeError: if a text is not a str.
            ValueError: if there are no texts, `pairs` has another number of them, or an id is unknown to the model;
                with packed=True, if texts of one row would mix in the model, or its `Transformer` is not known.
        """
        if isinstance(texts, str):
            if pairs is not None and not isinstance(pairs, str):
                raise TypeError(f"texts is one str, so pairs is one too, not {type(pairs).__name__}")
            return self.encode([texts], None if pairs is None else [pairs], progress, prompt, packed)[0]
        texts = _texts("texts", texts)
        seconds = None if pairs is None else _texts("pairs", pairs)
        if seconds is not None and len(seconds) != len(texts):
            raise ValueError(f"{len(texts)} texts but {len(seconds)} pairs: each text needs its second text")
        if not texts:
            raise ValueError("encode() got no texts")
        if prompt is not None:
            check_choice("prompt", prompt, self.prompts)
        prefix = self.prefix if prompt is None else self.prompts[prompt]
        vectors = np.empty((len(texts), self.dimension), "float32")
        with progress_bar("Encoding", len(texts), "text", progress) as advance:
            for start in range(0, len(texts), WINDOW):
                part = slice(start, start + WINDOW)
                second = None if seconds is None else seconds[part]
                for rows, found in self._vectors(texts[part], second, prefix, packed):
                    vectors[start + rows] = found
                    advance(len(rows))
        if self.normalize:
            vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return vectors if self._whitening is None else self._whitening(vectors)

    def _vectors(
        self, texts: list[str], pairs: list[str] | None, prefix: str, packed: bool
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield numbers of texts and what the model makes of them."""
        if prefix:
            texts = [prefix + text for text in texts]
        ids, segments = self.tokenizer.encode_batch(texts, pairs, maxlen=self.maxlen)
        others = np.arange(len(ids))
        if packed:
            packing, ids = self._packing, self._cutter.own_padding(ids)
            # A text that begins with padding is seen at the beginning of a row alone.
            plain = ids[:, 0] != self._cutter.pad
            numbers, others = others[plain], others[~plain]
            if len(numbers):
                for rows, found in packing.vectors(ids[numbers], segments[numbers]):
                    yield numbers[rows], found
            ids, segments = ids[others], segments[others]
        if len(others):
            for rows, arrays in self._cutter.cut(ids, segments, self.batch_size, self._compiled.by_shape):
                yield others[rows], self._compiled(arrays)[: len(rows)]

    @functools.cached_property
    def _packing(self) -> PackedVectors:
        """What encodes packed rows."""
        if not isinstance(self._compiled, Compiled) or self._transformer is None or self._output is not None:
            raise ValueError(
                "packed=True needs the model's blocks: an encoder of a build_transformer_model model with "
                "engine='keras' and without output="
            )
        return PackedVectors(
            self._transformer, self._cutter, self.pooling, self.layers, self.batch_size, *self._compiled.how
        )


def _integer(name: str, value: Any, smallest: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is a whole number, not {value!r}") from None
    if number < smallest:
        raise ValueError(f"{name}={number} is too small: at least {smallest}")
    return number


def _texts(name: str, texts: Any) -> list[str]:
    """Return texts as a list after checking them."""
    if isinstance(texts, str | bytes):
        raise TypeError(f"{name} is one {type(texts).__name__}, expected a list of str")
    try:
        found = list(texts)
    except TypeError:
        raise TypeError(f"{name} is a str or a list of str, not {type(texts).__name__}") from None
    for index, text in enumerate(found):
        if not isinstance(text, str):
            hint = " (pairs are two lists: encode(texts, pairs))" if isinstance(text, list | tuple) else ""
            raise TypeError(f"{name}[{index}] is a {type(text).__name__} {text!r:.60}, expected a str{hint}")
    return found
