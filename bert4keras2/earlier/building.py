"""How models were built before `build_transformer_model`."""

from __future__ import annotations

from typing import Any

from bert4keras2.models import build_transformer_model

__all__ = ["LM_Mask", "UniLM_Mask", "build_bert_model", "load_pretrained_model"]


class LM_Mask:
    """Mixed into a class of models, it makes a causal language model of it, as `application="lm"` does."""

    implied_application = "lm"


class UniLM_Mask:
    """Mixed into a class of models, it reads and generates, as `application="unilm"` does."""

    implied_application = "unilm"


def build_bert_model(
    config_path: Any,
    checkpoint_path: Any = None,
    with_pool: bool | str = False,
    with_nsp: bool = False,
    with_mlm: bool | str = False,
    model: str = "bert",
    application: str = "encoder",
    keep_words: Any = None,
    attention_mask: Any = None,
    position_ids: Any = None,
    seq2seq: bool = False,
    albert: bool = False,
    checkpoint_file: Any = None,
    **kwargs: Any,
) -> Any:
    """Build a model as releases up to 0.5.7 did; `build_transformer_model` is today's function.

    Args:
        config_path, checkpoint_path, with_pool, with_nsp, with_mlm, model: as there.
        application: "encoder", "lm", or "seq2seq", which is "unilm" today.
        keep_words: what `keep_tokens` is today.
        seq2seq: what application="unilm" is today.
        albert: what model="albert" is today.
        checkpoint_file: what `checkpoint_path` is today.
        attention_mask, position_ids: tensors of one's own; not supported.
        **kwargs: further options.

    Raises:
        TypeError: for an option that has no counterpart.
    """
    if attention_mask is not None or position_ids is not None:
        raise TypeError(
            "build_bert_model() takes no attention_mask= and position_ids= any more: custom_position_ids=True makes"
            " positions an input of the model, and a subclass of BERT may override make_context"
        )
    if keep_words is not None:
        kwargs["keep_tokens"] = keep_words
    unilm = seq2seq or application == "seq2seq"
    return build_transformer_model(
        config_path,
        checkpoint_path if checkpoint_file is None else checkpoint_file,
        model="albert" if albert else model,
        application="unilm" if unilm else application,
        with_pool=with_pool,
        with_nsp=with_nsp,
        with_mlm=with_mlm or unilm,
        **kwargs,
    )


def load_pretrained_model(
    config_path: Any,
    checkpoint_file: Any,
    with_mlm: bool | str = False,
    seq2seq: bool = False,
    keep_words: Any = None,
    albert: bool = False,
    **kwargs: Any,
) -> Any:
    """Build a model as the first releases did; arguments as for `build_bert_model`."""
    return build_bert_model(
        config_path, checkpoint_file, with_mlm=with_mlm, seq2seq=seq2seq, keep_words=keep_words, albert=albert, **kwargs
    )
