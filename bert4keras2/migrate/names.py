"""What is wrong with names that a script imports, and where they are found instead."""

from __future__ import annotations

import difflib
import sys
from collections.abc import Collection

from bert4keras2.migrate.constructs import TENSORFLOW
from bert4keras2.migrate.modules import GONE_NAMES, advice_on
from bert4keras2.migrate.offers import installed, names_of, offered
from bert4keras2.old_names import gone, sources_of, today

__all__ = ["keras_names", "what_is_wrong_elsewhere", "what_is_wrong_with_ours"]


def keras_names(module: str) -> frozenset[str] | None:
    """Return the names in a module of the installed Keras, an empty set if it has none such; None without Keras."""
    try:
        return names_of(module) or frozenset()
    except LookupError:
        return None


def what_is_wrong_with_ours(module: str, name: str) -> str | None:
    """Return what to write in place of a name of bert4keras; None if bert4keras2 has it in the same place.

    Args:
        module: the part after "bert4keras.", one that bert4keras2 has, too.
        name: in it, or "*".
    """
    names = offered(module) or frozenset()
    if name == "*":
        brings = module in ("layers", "models")
        return (
            "Keras' layers come along with a warning: add `from keras.layers import *`, or name them"
            if brings
            else None
        )
    if name in names:
        return None
    instead = gone(module, name)
    if instead:
        return f"bert4keras2.{module} has no such name: {instead}"
    earlier = today(module, name)
    if earlier:
        return f"a name of earlier releases, which works with a warning: use {earlier}"
    for source in sources_of(module):
        if name in (keras_names(source) or ()):
            return f"it works with a warning: write from {source} import {name}"
    advice = f"bert4keras2{'.' if module else ''}{module} has no such name"
    close = difflib.get_close_matches(name, names, 2)
    if close:
        advice += f"; close: {', '.join(close)}"
    return f"{advice}; Keras' own layers come from keras.layers" if module in ("layers", "models") else advice


def what_is_wrong_elsewhere(module: str, name: str, beside: Collection[str] | None) -> str | None:
    """Return what to do about an import from another package than Keras and bert4keras; None if it finds something.

    Args:
        module: its whole name.
        name: imported from it; "" if it is the module itself.
        beside: names of modules beside the script, which come first; None if that is not known, and packages that are
            not installed here are to be left alone.
    """
    root = module.split(".")[0]
    if beside and root in beside:
        return None
    advice = advice_on(f"{module}.{name}" if name else module)
    if advice:
        return advice
    known = GONE_NAMES.get(module, {}).get(name) or (TENSORFLOW.get(name) if module.startswith("tensorflow") else None)
    if known:
        return known
    if beside is not None and not installed(root):
        return f"no package or module {root} is installed here, nor beside the script"
    if root != "tensorflow" and root not in sys.stdlib_module_names:
        return None
    try:
        names = names_of(module)
        found = names is not None and (name in ("", "*", *names) or names_of(f"{module}.{name}") is not None)
    except LookupError:
        return None
    if found:
        return None
    whole = f"{module}.{name}".rstrip(".")
    if root == "tensorflow":
        return f"TensorFlow 2 has no {whole}; look for it in keras.ops or tf.compat.v1"
    return f"Python {sys.version_info.major}.{sys.version_info.minor} has no {whole}"
