"""Constructs that no rewriting of names can carry over: what they are, and what to write in their place."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass

from bert4keras2.keras_names import RENAMED
from bert4keras2.migrate.modules import MOVED, PARALLEL, SESSION, advice_on
from bert4keras2.migrate.offers import names_of

__all__ = ["ATTRIBUTES", "K_FUNCTIONS", "NAMES", "TENSORFLOW", "Note", "find_constructs", "sets_model"]

ADVERSARIAL = (
    "adversarial_training, gradient_penalty or virtual_adversarial_training of bert4keras2.training, called on the"
    " compiled model; for other gradients override train_step of keras.models.Model"
)
MEMORY = "tf.config.experimental.set_memory_growth(gpu, True), for gpu in tf.config.list_physical_devices('GPU')"
LOSS_LAYER = "compute it in compute_loss of a bert4keras2.layers.Loss layer"
DATA = "override train_step(data) to see what the model is fed"

# K.name
K_FUNCTIONS = {
    "get_session": SESSION,
    "set_session": SESSION,
    "get_graph": SESSION,
    "manual_variable_initialization": "remove it: variables have their values from the start",
    "learning_phase_scope": "pass training=True or training=False when you call the model",
    "tf": "import tensorflow as tf, or use keras.ops, which runs on every backend",
    "foldl": "keras.ops.scan",
    "foldr": "keras.ops.scan on the reversed tensor",
    "conv1d": "keras.ops.conv",
    "conv2d": "keras.ops.conv",
    "pool2d": "keras.ops.max_pool or keras.ops.average_pool",
    "normalize_batch_in_training": "keras.ops.moments and keras.ops.batch_normalization",
    "batch_normalization": "keras.ops.batch_normalization",
}
# anything.name
ATTRIBUTES = {
    "_make_test_function": "override test_step of keras.models.Model",
    "_make_predict_function": "remove it: predict needs no preparation",
    "_feed_input_names": "[tensor.name for tensor in model.inputs]",
    "_standardize_user_data": DATA,
    "_collected_trainable_weights": "model.trainable_weights",
    "metrics_tensors": "add_metric inside compute_loss of a bert4keras2.layers.Loss layer",
    "metrics_updates": "add_metric inside compute_loss of a bert4keras2.layers.Loss layer",
    "state_updates": "remove it: layers assign to their variables when they are called",
    "uses_learning_phase": "pass training=True or training=False when you call the model",
    "_uses_learning_phase": "pass training=True or training=False when you call the model",
    "get_updates": "define update_step(gradient, variable, learning_rate); use it with apply(gradients, variables)",
    "get_gradients": ADVERSARIAL,
}
# tf.name
TENSORFLOW = {
    "Session": SESSION,
    "InteractiveSession": SESSION,
    "get_default_graph": SESSION,
    "get_default_session": SESSION,
    "ConfigProto": MEMORY,
    "GPUOptions": MEMORY,
    "placeholder": "keras.Input",
    "global_variables_initializer": "remove it: variables have their values from the start",
    "contrib": "gone since TensorFlow 2.0; look for the function in keras.ops",
    "set_random_seed": "bert4keras2.backend.set_seed",
    "disable_eager_execution": "remove it: Keras 3 compiles what it runs by itself",
    "disable_v2_behavior": "remove it: Keras 3 needs TensorFlow 2's behaviour",
}
# names wherever they are imported from or looked up
NAMES = {
    "multi_gpu_model": PARALLEL,
    "CuDNNLSTM": "keras.layers.LSTM, which uses cuDNN by itself",
    "CuDNNGRU": "keras.layers.GRU, which uses cuDNN by itself",
    "get_session": SESSION,
    "set_session": SESSION,
}
OPTIMIZERS = ("Adam", "SGD", "RMSprop", "Adagrad", "Adadelta", "Adamax", "Nadam", "AdaFactor", "Lion")


@dataclass(frozen=True, order=True)
class Note:
    """Something for a person to look at.

    Attributes:
        line, column: where it is, both from 1.
        construct: what it is, as the script writes it.
        replacement: what to do.
        cell: the number of the cell of a notebook, from 1; 0 in a script.
    """

    line: int
    column: int
    construct: str
    replacement: str
    cell: int = 0


def find_constructs(tree: ast.AST, backends: set[str], tensorflows: set[str], kerases: set[str]) -> Iterator[Note]:
    """Yield notes on a script's constructs, imports aside.

    Args:
        tree: the script.
        backends: names by which it calls K.
        tensorflows: names by which it calls TensorFlow.
        kerases: names by which it calls Keras.
    """
    own = _own_optimizers(tree)
    for node in ast.walk(tree):
        found = None
        if isinstance(node, ast.Attribute):
            found = _attribute(node, backends, tensorflows) or _of_keras(node, kerases)
        elif isinstance(node, ast.Call):
            found = _call(node, own)
        elif isinstance(node, ast.Constant) and str(node.value).split(".")[0] == "bert4keras":
            found = repr(node.value), "if it names the module, write bert4keras2"
        if found:
            yield Note(node.lineno, node.col_offset + 1, *found)


def _attribute(node: ast.Attribute, backends: set[str], tensorflows: set[str]) -> tuple[str, str] | None:
    name, text = node.attr, ast.unparse(node)
    if len(text) > 60:
        text = f"...{text[-57:]}"
    base = ast.unparse(node.value) if isinstance(node.value, ast.Name | ast.Attribute) else ""
    if base in backends or base in ("keras.backend", *(f"{tf}.keras.backend" for tf in tensorflows)):
        return (f"{base}.{name}", K_FUNCTIONS[name]) if name in K_FUNCTIONS else _backend_of_tf(base, name, tensorflows)
    if any(base in (tf, f"{tf}.compat.v1") for tf in tensorflows) and name in TENSORFLOW:
        return text, TENSORFLOW[name]
    if any(base in (f"{tf}.keras", f"{tf}.keras.models") for tf in tensorflows) and name == "Model":
        return (
            text,
            "keras.models.Model with `from bert4keras2.backend import keras`, which takes weight files of any name",
        )
    if name in NAMES:
        return text, NAMES[name]
    return (text, ATTRIBUTES[name]) if name in ATTRIBUTES else None


def _of_keras(node: ast.Attribute, kerases: set[str]) -> tuple[str, str] | None:
    """Return what to do about `keras.module.name` that Keras 3 does not have."""
    base = ast.unparse(node.value) if isinstance(node.value, ast.Name | ast.Attribute) else ""
    root, _, rest = base.partition(".")
    if (
        root not in kerases
        or rest.split(".")[0] == "backend"
        or not all(part.isidentifier() for part in base.split("."))
    ):
        return None
    module = f"keras.{rest}".rstrip(".")
    try:
        names = names_of(module)
    except LookupError:
        return None
    if names is None or node.attr in names or node.attr in RENAMED.get(module, ()) or node.attr.startswith("__"):
        return None
    whole = f"{module}.{node.attr}"
    return f"{base}.{node.attr}", MOVED.get(whole) or advice_on(whole) or f"Keras 3 has no {whole}"


def sets_model(tree: ast.AST) -> bool:
    """Whether a script has a callback that sets `self.model` itself."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef) and any(ast.unparse(base).endswith("Callback") for base in node.bases):
            for inner in ast.walk(node):
                if isinstance(inner, ast.Attribute) and isinstance(inner.ctx, ast.Store) and inner.attr == "model":
                    return True
    return False


def _backend_of_tf(base: str, name: str, tensorflows: set[str]) -> tuple[str, str] | None:
    if base.split(".")[0] in tensorflows and base.endswith(".keras.backend"):
        return f"{base}.{name}", f"K.{name} with `from bert4keras2.backend import K`"
    return None


def _own_optimizers(tree: ast.AST) -> set[str]:
    """Return the names of optimizer classes of this library, and of those made of any by `extend_with_*`.

    They take `lr` for `learning_rate`, with a warning.
    """
    own: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            names = {alias.asname or alias.name for alias in node.names}
            ours = node.module in ("bert4keras.optimizers", "bert4keras2.optimizers")
            (own if ours else others).update({*OPTIMIZERS, *names} if ours and "*" in names else names)
        elif isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.unparse(node.value.func).split(".")[-1].startswith("extend_with_")
            own.update(target.id for target in node.targets if made and isinstance(target, ast.Name))
    return own - others


def _call(node: ast.Call, own: set[str]) -> tuple[str, str] | None:
    function = node.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    owner = function.value if isinstance(function, ast.Attribute) else None
    keywords = {keyword.arg for keyword in node.keywords}
    called = ast.unparse(function)
    if called in own or called.startswith(("bert4keras.optimizers.", "bert4keras2.optimizers.")):
        keywords -= {"lr"}
    of_self = isinstance(owner, ast.Name) and owner.id == "self"
    if name == "Lambda" and "mask" in keywords:
        return "Lambda(..., mask=...)", (
            "check that a mask arrives: bert4keras2.layers.Add passes it on, keras.layers.Add does not; better, write a"
            " layer with compute_mask"
        )
    if (
        name == "add_weight"
        and node.args
        and isinstance(node.args[0], ast.Constant)
        and isinstance(node.args[0].value, str)
    ):
        return (
            f"add_weight({node.args[0].value!r}, ...)",
            "add_weight(name=..., shape=...): the first argument is the shape",
        )
    if name == "add_metric" and owner is not None and not of_self:
        return f"{ast.unparse(owner)[:40]}.add_metric(...)", ATTRIBUTES["metrics_tensors"]
    if name == "add_loss" and owner is not None and not of_self and not isinstance(owner, ast.Call):
        return f"{ast.unparse(owner)[:40]}.add_loss(...)", LOSS_LAYER
    if any(name.startswith(optimizer) for optimizer in OPTIMIZERS) and keywords & {"lr", "decay"}:
        wrong = sorted(keywords & {"lr", "decay"})[0]
        right = (
            "learning_rate=, the name in Keras 3"
            if wrong == "lr"
            else "learning_rate=keras.optimizers.schedules.InverseTimeDecay(...)"
        )
        return f"{name}({wrong}=...)", right
    return None
