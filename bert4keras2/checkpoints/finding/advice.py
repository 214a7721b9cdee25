"""What to do about a path or a name that leads to no checkpoint: what it may mean, where that is, what is close."""

from __future__ import annotations

import difflib
import os
import re

from bert4keras2.checkpoints.finding.embedded import embedded_models
from bert4keras2.checkpoints.released import find_released, nearest_folder, plain_name
from bert4keras2.families.family import Released
from bert4keras2.families.table import FAMILIES, OTHER_NAMES, family_of, released

__all__ = ["did_you_mean", "hub_names", "not_found"]

_ADDRESS = re.compile(r"https?://(?:www\.)?(huggingface\.co|hf-mirror\.com)/([\w.-]+/[\w.-]+)")
_CLOSE = 0.75


def hub_names() -> dict[str, str]:
    """Return {name without owner: repository on the Hugging Face hub} of the released packages."""
    found = {}
    for package in released():
        owner, _, name = package.hub.partition("/")
        if owner:
            found[name] = package.hub
            if not package.project:  # published there alone, each size under the folder's name
                found |= {folder: f"{owner}/{folder}" for folder in package.folders if "*" not in folder}
    return found


def not_found(path: str) -> str:
    """Return the message about a path, or a name, that leads to nothing.

    Args:
        path: as it was given.
    """
    if path.endswith(".json"):
        return f"There is no configuration file {path!r}.{_sibling(path)}"
    name = os.path.basename(os.path.normpath(path))
    start = f"{path!r} is no file or folder here." if name in (path, ".") else f"The folder {path!r} does not exist."
    meant = _meaning(path) or _released(name) or did_you_mean(path)
    return f"{start}{_sibling(path)}{meant or _WHAT_IS_TAKEN}"


_WHAT_IS_TAKEN = (
    " Check the path. What is taken is the folder of a checkpoint, 'tiny-zh' or 'tiny-zh-sim' (in the package), or the"
    " name of a repository on the Hugging Face hub ('owner/name')."
)


def did_you_mean(name: str) -> str:
    """Return a question about the known name that is nearest to a name, "" if none is near."""
    known = {plain_name(one): one for one in (*FAMILIES, *OTHER_NAMES, *embedded_models())}
    known |= {plain_name(folder): folder for package in released() for folder in package.folders}
    for short, full in hub_names().items():
        known |= {plain_name(short): full, plain_name(full): full}
    close = difflib.get_close_matches(plain_name(name), known, n=1, cutoff=_CLOSE)
    close = close or difflib.get_close_matches(plain_name(os.path.basename(name)), known, n=1, cutoff=_CLOSE)
    if not close or known[close[0]] == name:
        return ""
    found = known[close[0]]
    return f" Did you mean {found!r}?{_released(found)}"


def _meaning(name: str) -> str:
    """Return what a name means that is no path: an address, a family; "" for anything else."""
    address = _ADDRESS.match(name)
    if address:
        return f" Of an address of the hub, pass the name alone: {address[2]!r}."
    if "/" in name or not name or plain_name(name) not in {plain_name(one) for one in (*FAMILIES, *OTHER_NAMES)}:
        return ""
    family = family_of(name)[0]
    packages = [package for package in released() if family_of(package.model)[0] == family]
    text = (
        f" It is the name of a family of models: build_transformer_model(FOLDER, model={name!r}) loads one of its"
        f" checkpoints, build_transformer_model(SIZES, model={name!r}) has random weights."
    )
    where = "; ".join(f"{package.folders[0]} ({_place(package)})" for package in packages[:3])
    return text + (f" Released are {where}." if where else "")


def _released(name: str) -> str:
    package = find_released(name)
    if package is None or not package.project:
        return ""
    text = (
        f" The released package {nearest_folder(name, package).rstrip('*')} is published at {_place(package)}:"
        " download it, unpack it, and pass the path of its folder."
    )
    return text + (f" Its port on the Hugging Face hub is loaded by name: pass {package.hub!r}." if package.hub else "")


def _place(package: Released) -> str:
    return f"github.com/{package.project}" if package.project else f"the Hugging Face hub, {package.hub!r}"


def _sibling(path: str) -> str:
    """Return a question about what lies where the path points to under a name like it."""
    parent, name = os.path.split(os.path.abspath(path))
    if not path or not os.path.isdir(parent):
        return ""
    close = difflib.get_close_matches(name, os.listdir(parent), n=1, cutoff=_CLOSE)
    return f" Did you mean {os.path.join(os.path.dirname(path), close[0])!r}?" if close else ""
