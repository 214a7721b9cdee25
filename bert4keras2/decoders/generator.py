"""`Generator`: texts from a model and a tokenizer, with cached keys and values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from bert4keras2.checkpoints.finding.advice import not_found
from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.decoders.beam import BeamRequest
from bert4keras2.decoders.engine import engine_of
from bert4keras2.decoders.exported.engine import ExportedEngine
from bert4keras2.decoders.exported.folder import export_generator, in_onnx, load_exported
from bert4keras2.decoders.faster.drafting import DraftRequest
from bert4keras2.decoders.faster.prefixes import PromptPrefix
from bert4keras2.decoders.options import Options
from bert4keras2.decoders.prompts import Prompt, Prompter, padded_length
from bert4keras2.decoders.request import Generation, Request
from bert4keras2.decoders.sampling import SampleRequest
from bert4keras2.decoders.saving import save_generator, saved_options
from bert4keras2.decoders.scoring import log_probabilities
from bert4keras2.exporting import described
from bert4keras2.models import build_transformer_model
from bert4keras2.progress import progress_bar
from bert4keras2.settings import check_choice
from bert4keras2.tokenizers import load_tokenizer

__all__ = ["Generation", "Generator"]

ENGINES = ("keras", "onnx")


class Generator:
    """Generates texts with a model and a tokenizer.

    A prompt is read once; then each token costs one step over cached keys and values, in one compiled loop. Calls
    of the same padded shape compile nothing again.

    Args:
        model: as build_transformer_model returns it, with application "lm" or "unilm", or an encoder-decoder.
        tokenizer: a `Tokenizer` or `SpTokenizer`; None if prompts are ids.
        end_id: id or ids that end a text; the tokenizer's end token if None.
        maxlen: prompts are cut to so many tokens; None: a prompt too long for the model is an error.
        start_id: what the decoder of an encoder-decoder starts from; the tokenizer's start token, or 0, if None.
        segment: segment id of generated tokens; None: 1 for "unilm", otherwise that of the prompt's last token.
        prompt: function from a text to ids or (ids, segments), instead of the tokenizer's `encode`.
        batch_size: most rows (prompts times samples or beams) of one run.
        weights: "bfloat16": steps over few rows read copies of the matrices in half as many bits (PyTorch).
        engine: "keras"; or "onnx", which converts the model as it is now for onnxruntime: quick to start on CPUs, since
            nothing is compiled.
    """

    def __init__(
        self,
        model: Any,
        tokenizer: Any = None,
        end_id: int | Sequence[int] | None = None,
        maxlen: int | None = None,
        start_id: int | None = None,
        segment: int | None = None,
        prompt: Callable[[Any], Any] | None = None,
        batch_size: int = 32,
        weights: str | None = None,
        engine: str = "keras",
    ):
        check_choice("engine", engine, ENGINES)
        if isinstance(model, str | os.PathLike):
            raise TypeError(
                f"Generator takes a model: Generator(build_transformer_model(FOLDER, application='lm'), "
                f"load_tokenizer(FOLDER)), or Generator.load(FOLDER, application='lm') in short, not {model!r}."
                f"{'' if os.path.exists(model) else ' ' + not_found(os.fspath(model))}"
            )
        self.engine: Any = model if isinstance(model, ExportedEngine) else engine_of(model, weights)
        self._source = model
        config = self.engine.config
        if config.stack == "decoder" or (config.stack == "seq2seq" and not config.with_lm):
            what = "half of an encoder-decoder" if config.stack == "decoder" else "built with with_lm=False"
            raise ValueError(
                f"This {config.family} model is {what}: a Generator needs the whole encoder-decoder, scores of tokens "
                "included"
            )
        self.tokenizer = tokenizer
        if end_id is None:
            end_id = tokenizer._token_end_id if getattr(tokenizer, "_token_end", None) is not None else ()
        self.end_ids = tuple(int(i) for i in ([end_id] if np.ndim(end_id) == 0 else end_id))
        self.prompter = Prompter(self.engine.config, tokenizer, maxlen, start_id, segment, prompt)
        self.batch_size = batch_size
        if engine == "onnx" and not isinstance(model, ExportedEngine):
            self.engine = in_onnx(self)
        if weights is not None:
            self._by_keras("weights=")

    @classmethod
    def load(cls, folder: str | os.PathLike, **options: Any) -> Generator:
        """Return the generator of a released checkpoint's folder, or of one that `save` wrote.

        Args:
            folder: the folder that `build_transformer_model` and `load_tokenizer` read, or the name of a repository
                on the Hugging Face hub; or what `export` wrote, which is run by onnxruntime.
            **options: those of `Generator`; `tokenizer_options`, a dict for `load_tokenizer`; all others go to
                `build_transformer_model`, such as application="lm". Of an exported model: those of `Generator`,
                `tokenizer_options` and `threads`.

        Raises:
            FileNotFoundError: if a file is missing.
            TypeError: for an unknown option.
            ValueError: if files and options do not fit together, or the model cannot generate.
        """
        own = ("end_id", "maxlen", "start_id", "segment", "prompt", "batch_size", "weights", "engine")
        chosen = {name: options.pop(name) for name in own if name in options}
        if described(folder) is not None:
            return cls(*load_exported(folder, chosen, options), **{**saved_options(folder)[0], **chosen})
        folder = resolve(folder, progress=options.get("progress"))
        said, implied = saved_options(folder)
        tokenizer = load_tokenizer(folder, **(options.pop("tokenizer_options", None) or {}))
        return cls(build_transformer_model(folder, **{**implied, **options}), tokenizer, **{**said, **chosen})

    #: By the name that tasks have for it.
    from_checkpoint = load

    def save(self, folder: str | os.PathLike) -> None:
        """Write model, vocabulary and options; `load` and `load_task` read them.

        Args:
            folder: where to; it is made.

        Raises:
            ValueError: if the model is none of `build_transformer_model`, `prompt` is a function, or there is no
                tokenizer.
            OSError: if the disk takes no more.
        """
        save_generator(self, self._source, folder)

    def export(self, folder: str | os.PathLike, to: str = "onnx", int8: bool = False, **options: Any) -> str:
        """Write one step of generation, with keys and values as inputs and outputs, and the tokenizer's files.

        Args:
            folder: where to; `load` reads that of ONNX, and docs/export.md says what other programs have to know.
            to: "onnx", "saved_model", "litert" or "openvino".
            int8: matrices of eight bits ("onnx", "litert").
            **options: `opset`.

        Returns:
            What was written and how it compares, in words.

        Raises:
            ImportError: if a package of the format is not installed.
            ValueError: if the model is exported already, cannot be, or there is no tokenizer.
        """
        return export_generator(self, folder, to, int8, **options)

    def generate(
        self,
        texts: Any,
        max_new_tokens: int = 64,
        extra: Sequence[Any] = (),
        progress: bool | None = None,
        prefix: PromptPrefix | None = None,
        **options: Any,
    ) -> Any:
        """Generate the continuation of one prompt or of many.

        Args:
            texts: a text, or a list of texts of any lengths; ids or (ids, segments) may stand for a text.
            max_new_tokens: most tokens of each result.
            extra: arrays (number of texts, ...) for the model's additional_input_layers.
            progress: show a bar; if None, on a terminal, where it takes some seconds.
            prefix: of `Generator.prefix`: what stands before each text, and is not read again.
            **options: see `Options`: strategy, num_beams, num_return, top_k, top_p, min_p, temperature,
                repetition_penalty, no_repeat_ngram, min_length, length_penalty, bad_words, constraint, seed, stop,
                draft, draft_tokens.

        Returns:
            A `Generation` for one prompt, a list of them for a list; with num_return above 1 each is a list, for
            beam search the likeliest first.

        Raises:
            ValueError: for options that cannot be, or a prompt longer than the model's positions.
        """
        single = _is_prompt(texts)
        many = [texts] if single else list(texts)
        chosen = Options.of(options)
        prompts = [self._prompt(text, prefix) for text in many]
        extra = [np.asarray(array) for array in extra]
        self._check_extra(extra, len(prompts))
        results: list[Any] = [None] * len(prompts)
        # Prompts of like lengths share a run, so that little of it is padding.
        order = sorted(range(len(prompts)), key=lambda i: (padded_length(len(prompts[i].ids)), i))
        size = 1 if chosen.draft is not None else max(1, self.batch_size // chosen.rows)
        with progress_bar("Generating", len(order), "text", progress) as advance:
            for begin in range(0, len(order), size):
                picked = order[begin : begin + size]
                request = self._request(
                    [prompts[i] for i in picked], max_new_tokens, chosen, [a[picked] for a in extra], picked
                )
                for i, found in zip(picked, request.finish(), strict=True):
                    results[i] = found if chosen.num_return > 1 else found[0]
                advance(len(picked))
        return results[0] if single else results

    def prefix(self, text: Any) -> PromptPrefix:
        """Return a beginning of prompts (instructions, examples) whose keys and values are kept from call to call.

        The model reads `generate(texts, prefix=prefix)` as prompts of the prefix's tokens and those of a text behind
        them, without the start token of the text; the prefix is tokenized by itself.

        Args:
            text: a text; ids or (ids, segments) may stand for it.

        Raises:
            ValueError: if a token of the model sees those behind it (application "unilm", encoder-decoders), or
                keys and values would depend on more than the tokens.
        """
        self._by_keras("prefix")
        return PromptPrefix(self.engine, self.prompter, self._prompt(text))

    def stream(
        self,
        text: Any,
        max_new_tokens: int = 64,
        extra: Sequence[Any] = (),
        prefix: PromptPrefix | None = None,
        **options: Any,
    ) -> Iterator[str]:
        """Yield the pieces of a text as they are decided; joined they are the text of `generate`.

        A piece is held back while later tokens may still change it (part of a character, a blank before a word).

        Args:
            text: one prompt.
            max_new_tokens, extra, prefix, **options: as in `generate`; strategy "greedy" or "sample".
        """
        chosen = Options.of(options)
        if chosen.strategy == "beam" or chosen.num_return > 1:
            raise ValueError("stream() follows one text, so strategy is 'greedy' or 'sample' and num_return is 1")
        if self.tokenizer is None:
            raise ValueError("stream() yields text, so the Generator needs a tokenizer")
        extra = [np.asarray(array) for array in extra]
        self._check_extra(extra, 1)
        return self._request([self._prompt(text, prefix)], max_new_tokens, chosen, extra, [0]).pieces()

    def score(
        self,
        texts: Sequence[Any],
        continuations: Sequence[Sequence[Any]],
        end: bool = False,
        extra: Sequence[Any] = (),
        prefix: PromptPrefix | None = None,
    ) -> list[np.ndarray]:
        """Return the log-probability of each of several continuations of each prompt, in one batch.

        Args:
            texts: prompts.
            continuations: for each prompt its candidates, texts or lists of ids.
            end: count the end token after each candidate.
            extra, prefix: as in `generate`.

        Returns:
            For each prompt an array (number of its candidates,) of sums of log-probabilities.
        """
        if _is_prompt(texts) or len(texts) != len(continuations) or any(map(_is_prompt, continuations)):
            raise ValueError(
                "score() takes a list of prompts and for each of them a list of candidates: score([prompt], [[a, b]])"
            )
        if end and not self.end_ids:
            raise ValueError("end=True counts an end token, and there is none: Generator(..., end_id=...)")
        prompts = [self._prompt(text, prefix) for text in texts]
        candidates = [[self._candidate(one, end) for one in group] for group in continuations]
        extra = [np.asarray(array) for array in extra]
        self._check_extra(extra, len(prompts))
        return log_probabilities(self.engine, self.prompter, prompts, candidates, extra)

    def _candidate(self, one: Any, end: bool) -> list[int]:
        if isinstance(one, str):
            if self.tokenizer is None:
                raise TypeError("A text needs a tokenizer: Generator(model, tokenizer), or pass the candidate's ids")
            one = self.tokenizer.tokens_to_ids(self.tokenizer._tokenize(one))
        ids = [int(i) for i in one] + ([self.end_ids[0]] if end else [])
        if not ids:
            raise ValueError("A candidate without tokens has no probability to speak of: pass end=True or drop it")
        self._check_ids(ids, "candidate")
        return ids

    def _prompt(self, text: Any, prefix: PromptPrefix | None = None) -> Prompt:
        if prefix is not None and getattr(prefix, "engine", None) is not self.engine:
            raise ValueError("prefix is what generator.prefix(text) returns, of a generator of the same model")
        prompt = self.prompter(text) if prefix is None else prefix.before(text)
        known = self.engine.positions
        if known is not None and len(prompt.start) >= known:
            raise ValueError(
                f"The prompt has {len(prompt.start)} tokens, but the model knows {known} positions and needs one for "
                "what follows: shorten it (Generator(..., maxlen=...)) or "
                "build the model with hierarchical_position=True"
            )
        self._check_ids(prompt.ids, "prompt")
        return prompt

    def _check_ids(self, ids: list[int], what: str) -> None:
        size = self.engine.config.rows
        worst = next((i for i in ids if not 0 <= i < size), None)
        if worst is not None:
            raise ValueError(
                f"The {what} has id {worst}, but the model's vocabulary has {size} ids: is the tokenizer that of the "
                "model, and were keep_tokens given to build_transformer_model as load_vocab returned them?"
            )

    def _check_extra(self, extra: list[np.ndarray], rows: int) -> None:
        wanted = len(self.engine.extra_inputs)
        if len(extra) != wanted or any(not array.ndim or len(array) != rows for array in extra):
            raise ValueError(
                f"The model has {wanted} additional inputs, so extra is a list of {wanted} arrays with {rows} rows, "
                f"one for each prompt; it holds {[array.shape for array in extra]}"
            )

    def _by_keras(self, what: str) -> None:
        """Raise a ValueError for what generation by onnxruntime does not know."""
        if isinstance(self.engine, ExportedEngine):
            raise ValueError(
                f"{what} is for models of Keras, and this Generator runs an exported one (engine='onnx'): load the"
                " folder of the model itself"
            )

    def _request(
        self, prompts: list[Prompt], max_new_tokens: int, options: Options, extra: list[np.ndarray], order: list[int]
    ) -> Request:
        if max_new_tokens < 1:
            raise ValueError(f"max_new_tokens is at least 1, not {max_new_tokens}")
        if options.draft is not None:
            self._by_keras("draft")
        kind = BeamRequest if options.strategy == "beam" else SampleRequest if options.draft is None else DraftRequest
        return kind(self, prompts, max_new_tokens, options, extra, order)


def _is_prompt(value: Any) -> bool:
    """Whether a value is one prompt rather than a list of them: a text, ids, or a tuple (ids, segments)."""
    if isinstance(value, str):
        return True
    if isinstance(value, tuple) and len(value) == 2 and not any(isinstance(part, str) for part in value):
        return True
    return isinstance(value, list | tuple | np.ndarray) and len(value) > 0 and isinstance(value[0], int | np.integer)
