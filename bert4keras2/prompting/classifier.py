"""`PromptClassifier`: labels told by the words that a masked language model puts into a pattern (PET)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np

from bert4keras2.embeddings.batches import TextBatches
from bert4keras2.embeddings.compiled import Compiled
from bert4keras2.metrics import accuracy, macro_f1
from bert4keras2.models import heads
from bert4keras2.pretraining.objectives.mlm import at
from bert4keras2.prompting.batches import arrays, batches
from bert4keras2.prompting.pattern import Pattern, Verbalizer, bare_ids
from bert4keras2.tasks.predictions import LabelPrediction
from bert4keras2.tasks.report import Report, confusion_text
from bert4keras2.tasks.rows.values import check_label, check_text, label_text, trimmed, values_of
from bert4keras2.tasks.task import Task
from bert4keras2.training.model import Model
from bert4keras2.training.sentences import hide_tokens, seq2seq_crossentropy

__all__ = ["PromptClassifier"]


class _Row(NamedTuple):
    text: str
    second: str | None
    label: str


class PromptClassifier(Task):
    """Classifies texts by the word that a masked language model finds likeliest in a pattern around them.

        words = {"好评": "很", "差评": "不"}
        task = PromptClassifier.from_checkpoint(folder, pattern="[MASK]满意。{text}", words=words)
        task.predict("物流很快")            # zero-shot
        task.fit(rows, unlabelled=texts)    # few-shot, semi-supervised

    `fit` learns the words of labels and, as the pre-training did, random hidden tokens of the texts; unlabelled texts
    bring only the latter (kexue.fm/archives/7764). The model has to have its trained head of masked language modelling.

    Args:
        transformer: the model of `build_transformer_model(..., with_mlm=True, return_keras_model=False)`.
        tokenizer: its tokenizer.
        labels: those of `words`, if given at all.
        pattern: a `Pattern`, its text, or several: probabilities are then means of their logarithms.
        words: a `Verbalizer`, or {label: word}.
        mask_rate: share of further tokens that are hidden while it learns.
        maxlen: longest sequence of tokens; 128, or what the model knows, if None.
        prefix: of texts, as for other tasks; the pattern is the better place.
        batch_size: texts that are predicted at once.

    Raises:
        ValueError: if patterns, words and the vocabulary do not fit together.
    """

    def __init__(
        self,
        transformer: Any,
        tokenizer: Any,
        labels: Iterable[Any] | None = None,
        pattern: Any = "",
        words: Any = None,
        mask_rate: float = 0.15,
        maxlen: int | None = None,
        prefix: str = "",
        batch_size: int = 64,
    ):
        several = [pattern] if isinstance(pattern, str | Pattern) else list(pattern)
        self.patterns = [one if isinstance(one, Pattern) else Pattern(one) for one in several]
        self.verbalizer = words if isinstance(words, Verbalizer) else Verbalizer(words or {})
        if len({one.pairs for one in self.patterns}) != 1:
            raise ValueError("the patterns are all for single texts, or all for pairs")
        if labels is not None and [str(label) for label in labels] != self.verbalizer.labels:
            raise ValueError(f"labels are those of the words: {', '.join(self.verbalizer.labels)}")
        self.pairs, self.mask_rate = self.patterns[0].pairs, float(mask_rate)
        self._words = [self.verbalizer.ids(tokenizer, one.blanks) for one in self.patterns]
        self._unlabelled: list[str] = []
        super().__init__(transformer, tokenizer, self.verbalizer.labels, maxlen, prefix, batch_size)

    @classmethod
    def implied_options(cls, own: dict[str, Any], folder: str, options: dict[str, Any]) -> dict[str, Any]:
        """Return with_mlm, since words are told by that head."""
        return {"with_mlm": True}

    def settings(self) -> dict[str, Any]:
        """Return the options as JSON holds them."""
        forms = [one.form for one in self.patterns]
        plain = {"pattern": forms[0] if len(forms) == 1 else forms, "words": self.verbalizer.words}
        return {name: plain[name] if name in plain else getattr(self, name) for name in self.own_options()}

    def build_head(self) -> Any:
        """Return the symbolic (B, P, V) scores of tokens at the places that the input Input-Hidden names."""
        transformer = self.transformer
        self._hidden = keras.Input((None,), dtype="int32", name="Input-Hidden")
        context = transformer.make_context(transformer.inputs)
        context.logits = True
        context.heads = lambda x: heads.token_scores(transformer, at(x, self._hidden))
        return transformer.run(context, transformer.inputs)[0]

    def _build(self) -> None:
        output = self.build_head()
        self._model = Model([*self.transformer.inputs, self._hidden], output)
        self._cutter = TextBatches(self.transformer.model, self.tokenizer, self.maxlen)
        self._names = [tensor.name for tensor in self._model.inputs]
        self._compiled = Compiled(self._model)

    # -- rows ------------------------------------------------------------------------------------------------

    def fit(self, rows: Any, validation: Any = None, unlabelled: Iterable[str] = (), **options: Any) -> Any:
        """Train on labelled rows, and on unlabelled texts besides.

        Args:
            rows: as for `Task.fit`: (text, label), or (text, second text, label) if the pattern has a {second}.
            validation: see there.
            unlabelled: texts, whose hidden tokens are learnt.
            **options: see there.
        """
        self._unlabelled = [check_text(text, f"unlabelled[{i}]") for i, text in enumerate(unlabelled)]
        return super().fit(rows, validation, **options)

    def read(self, rows: Any, learn: bool) -> list[_Row]:
        """Return checked rows."""
        order = ("text", "second", "label") if self.pairs else ("text", "label")
        found = []
        for index, row in enumerate(rows):
            where = rows.where(index)
            values = values_of(row, where, (order,))
            second = check_text(values["second"], where, "second text") if self.pairs else None
            label = label_text(values["label"], where)
            check_label(label, self.labels, where)
            found.append(_Row(check_text(values["text"], where), second, label))
        return found

    def samples(self, rows: list[_Row]) -> list[tuple[list[int], list[int], list[int]]]:
        """Return (ids, places of the pattern's blanks, tokens that belong there) of rows and of unlabelled texts."""
        found = []
        for pattern, words in zip(self.patterns, self._words, strict=True):
            tokens = {label: ids[0].tolist() for label, ids in zip(self.labels, words, strict=True)}
            for row in rows:
                found.append((*self._encoded(pattern, row.text, row.second), tokens[row.label]))
        for text in self._unlabelled:
            ids = bare_ids(self.tokenizer, self.prefix + text)[: self.maxlen - 2]
            found.append(([self.tokenizer.start_id, *ids, self.tokenizer.end_id], [], []))
        return found

    def _encoded(self, pattern: Pattern, text: str, second: str | None) -> tuple[list[int], list[int]]:
        return pattern.encode(self.tokenizer, self.prefix + text, second, self.maxlen)

    def collate(self, batch: list[Any]) -> Any:
        """Return (inputs, tokens of the hidden places (B, P), -1 where there is none), hidden anew in each epoch."""
        rows, labels = [], []
        for ids, places, tokens in batch:
            found, others = hide_tokens(
                ids, self.tokenizer.mask_id, self.tokenizer.vocab_size, self.mask_rate, spared=places
            )
            rows.append({"Input-Token": found, "Input-Hidden": [*places, *others]})
            labels.append([*tokens, *(ids[place] for place in others)])
        x = arrays(rows, self._names, self._cutter.pad, self.maxlen, hidden_multiple=8)
        y = np.full(x[-1].shape, -1, "int32")
        for row, own in enumerate(labels):
            y[row, : len(own)] = own
        return x, y

    def loss(self) -> Any:
        """Return the cross entropy of hidden tokens."""
        return seq2seq_crossentropy(from_logits=True)

    # -- prediction ------------------------------------------------------------------------------------------

    def predict(self, texts: Any, pairs: Any = None, progress: bool | None = None) -> Any:
        """Return the labels of texts.

        Args:
            texts: a text or a list of them; a list may hold pairs (text, second text).
            pairs: the second texts, if `texts` are the first ones.
            progress: not shown; the name is that of other tasks.

        Returns:
            A list of `LabelPrediction`; one of them for one text.

        Raises:
            ValueError: for an empty text, or if second texts are missing or too many.
        """
        if isinstance(texts, str):
            return self.predict([texts], None if pairs is None else [pairs], progress)[0]
        firsts = list(texts)
        if pairs is None and firsts and all(isinstance(one, tuple | list) and len(one) == 2 for one in firsts):
            firsts, pairs = map(list, zip(*firsts, strict=True))
        seconds = None if pairs is None else list(pairs)
        if not firsts or (seconds is not None) != self.pairs or (seconds is not None and len(seconds) != len(firsts)):
            wanted = "pairs of texts" if self.pairs else "single texts"
            raise ValueError(f"predict() takes {wanted} here, at least one, each with all its parts")
        for index, text in enumerate([*firsts, *(seconds or [])]):
            check_text(text, f"texts[{index % len(firsts)}]")
        found, labels = np.exp(self.log_probabilities(firsts, seconds)), tuple(self.labels)
        best = found.argmax(1).tolist()
        return [LabelPrediction(labels[k], float(row[k]), labels, row) for k, row in zip(best, found, strict=True)]

    def predict_rows(self, rows: Any, **options: Any) -> tuple[list[dict[str, Any]], list[Any]]:
        """Return the texts of rows by name, and their labels."""
        names = ("text", "second") if self.pairs else ("text",)
        inputs = [values_of(trimmed(row, names), rows.where(i), (names,)) for i, row in enumerate(rows)]
        texts = [tuple(values.values()) if self.pairs else values["text"] for values in inputs]
        return inputs, self.predict(texts, **options)

    def log_probabilities(self, texts: Sequence[str], seconds: Sequence[str] | None = None) -> np.ndarray:
        """Return (N, labels) logarithms of probabilities; of several patterns the means, made to add up to 1 again."""
        total = np.zeros((len(texts), len(self.labels)))
        for pattern, words in zip(self.patterns, self._words, strict=True):
            rows = []
            for index, text in enumerate(texts):
                ids, places = self._encoded(pattern, text, None if seconds is None else seconds[index])
                rows.append({"Input-Token": ids, "Input-Hidden": places})
            cut = batches(rows, self._names, self._cutter.pad, self.maxlen, self.batch_size, self._compiled.by_shape)
            for numbers, inputs in cut:
                scores = self._compiled(inputs)[: len(numbers), : pattern.blanks]
                total[numbers] += self.verbalizer.scores(scores, words) / len(self.patterns)
        return total - np.log(np.exp(total).sum(1, keepdims=True))

    def report(self, rows: list[_Row], progress: bool | None = None) -> Report:
        """Return accuracy and macro F1."""
        seconds = [row.second for row in rows] if self.pairs else None
        best = self.log_probabilities([row.text for row in rows], seconds).argmax(1)
        true, found = [row.label for row in rows], [self.labels[place] for place in best]
        figures = {"accuracy": accuracy(true, found), "macro_f1": macro_f1(true, found, self.labels)}
        counts = ", ".join(f"{label} {count}" for label, count in Counter(true).items())
        return Report(figures, len(rows), f"{counts}\n\n{confusion_text(true, found, self.labels)}")
