"""`build_transformer_model`: from files and options to a model with weights."""

from __future__ import annotations

import os
import warnings
from typing import Any

from bert4keras2.checkpoints.finding.resolve import resolve
from bert4keras2.checkpoints.folder import find_checkpoint
from bert4keras2.checkpoints.names.recognise import looks_like
from bert4keras2.checkpoints.readers import open_checkpoint
from bert4keras2.families.config import OPTIONS, make_config, of_file, read_config
from bert4keras2.families.config_values import check_values
from bert4keras2.families.huggingface import implied_by
from bert4keras2.families.table import FAMILIES, family_of, guess_family
from bert4keras2.functional.later_draws import made_for_loading
from bert4keras2.models.seq2seq import Decoder, Encoder, Seq2Seq
from bert4keras2.models.subclasses import PARTS, own_parameters
from bert4keras2.models.transformer import Transformer
from bert4keras2.models.weights import refuse_giants
from bert4keras2.old_names import take_old_arguments

__all__ = ["build_transformer_model"]

STACKS = {"single": Transformer, "seq2seq": Seq2Seq, "encoder": Encoder, "decoder": Decoder}


def build_transformer_model(
    config_path: str | os.PathLike | dict[str, Any] | None = None,
    checkpoint_path: str | os.PathLike | None = None,
    model: str | type[Transformer] = "bert",
    application: str | None = None,
    return_keras_model: bool = True,
    progress: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Build a model and load its weights.

    Args:
        config_path: the model's JSON file, its content, or the folder of a released checkpoint, in which the
            configuration, the weights and the family are then looked for. The name of a repository on the Hugging Face
            hub ("hfl/rbt3") stands for its folder, which is downloaded.
        checkpoint_path: TensorFlow checkpoint prefix, safetensors file, PyTorch file or folder; None for random
            weights (or for the weights found in the folder).
        model: name of a family (docs/models.md lists them), or a subclass of `Transformer`.
        application: "encoder", "lm" (causal language model) or "unilm" (sequence to sequence in one stack); what the
            model's name implies if None, which is "encoder" for most.
        return_keras_model: return the Keras model; otherwise the `Transformer` that also has layers and initializer.
        progress: show bars of downloading and loading; if None, on a terminal, where it takes some seconds.
        **kwargs: options of `Config` and keys of the JSON file, which they override; and layer_norm_cond,
            additional_input_layers and layers of `Transformer`; and what the constructor of a subclass takes.

    Returns:
        A `Model`, or a `Transformer` whose attribute `model` it is.

    Raises:
        FileNotFoundError: if a file is missing; of a name that leads nowhere, with what it may mean.
        TypeError: for an unknown option.
        ValueError: if configuration, checkpoint and options do not fit together.
    """
    renamed = take_old_arguments("build_transformer_model", kwargs)
    checkpoint_path = renamed.pop("checkpoint_path", checkpoint_path)
    kwargs |= renamed
    file, found_checkpoint, file_path = _read(config_path, progress)
    if checkpoint_path is None:
        checkpoint_path = found_checkpoint
    elif os.path.isdir(checkpoint_path):
        checkpoint_path = find_checkpoint(checkpoint_path).checkpoint_path
    with of_file(file_path):
        cls, family, implied = _class_and_family(model, file, found_checkpoint)
    parts = {name: kwargs.pop(name, None) for name in PARTS}
    own = own_parameters(cls)
    parts |= {name: kwargs.pop(name, file.get(name)) for name in own - OPTIONS if name in kwargs or name in file}
    # What the model's name implies gives way to what the call says.
    options = {"application": "encoder", **implied, **kwargs}
    if application is not None:
        options["application"] = application
    stack = {name: options.pop(name) for name in ("stack",) if name in options}
    with of_file(file_path):
        config = make_config(family, {**FAMILIES[family], **stack}, file, options)
    if checkpoint_path is not None:
        refuse_giants(config, checkpoint_path, file_path)
    cls = STACKS[config.stack] if cls is Transformer else cls
    # A constructor that names options of ours, to look at them or to hand on others, gets their values.
    parts |= {name: getattr(config, name) for name in own & OPTIONS}

    def make() -> Transformer:
        return cls(config=config, **parts).build()

    later = checkpoint_path is not None and cls in STACKS.values()
    transformer, draws = made_for_loading(make, later)
    if found_checkpoint is not None:
        transformer.source = os.path.dirname(found_checkpoint)
    if checkpoint_path is not None:
        # Subclasses of scripts may override it without the argument.
        shown = {} if progress is None else {"progress": progress}
        transformer.load_weights_from_checkpoint(checkpoint_path, **shown)
        if draws is not None:
            draws.finish()
    elif (config.with_pool or config.with_nsp) and not config.pretrained_heads:
        warnings.warn(
            f"Released {config.family} checkpoints hold no pooler or NSP head: its weights start at random values",
            stacklevel=2,
        )
    return transformer.model if return_keras_model else transformer


def _read(config_path: Any, progress: bool | None) -> tuple[dict[str, Any], str | None, str | None]:
    """Return the configuration, where that came from a folder also its checkpoint, and the configuration's file."""
    if config_path is None or isinstance(config_path, dict):
        check_values(config_path or {}, "The configuration")
        return config_path or {}, None, None
    path = resolve(config_path, progress=progress)
    if not os.path.isdir(path):
        return read_config(path), None, path
    found = find_checkpoint(path)
    return read_config(found.config_path), found.checkpoint_path, found.config_path


def _class_and_family(
    model: Any, file: dict[str, Any], folder_checkpoint: str | None
) -> tuple[type[Transformer], str, dict[str, Any]]:
    """Return the class to build, the family's name, and the options that the model's name implies."""
    if isinstance(model, type) and issubclass(model, Transformer):
        application = getattr(model, "implied_application", None)  # of extend_with_language_model and the like
        implied = {} if application is None else {"application": application}
        return model, model.family or guess_family(file) or "bert", implied
    family, implied = family_of(model)
    if str(model).lower() not in ("bert", "roberta"):
        return Transformer, family, implied
    # "bert" is the default of the argument, and "roberta" says no more, since Chinese checkpoints of that name are BERT
    # models: what the configuration says is believed, and where that is silent, as the JSON of TensorFlow releases is,
    # the names of the variables that were found with it.
    return Transformer, guess_family(file) or _family_of_variables(folder_checkpoint) or family, implied_by(file)


def _family_of_variables(checkpoint: str | None) -> str | None:
    if checkpoint is None:
        return None
    with open_checkpoint(checkpoint) as reader:
        family = looks_like(reader.names())
    return family if family is None else family_of(family)[0]
