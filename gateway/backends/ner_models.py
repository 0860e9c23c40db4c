"""Whether a model of a policy is there, as far as that can be told without loading it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, distribution
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from gateway.privacy.profile import Ner

_NEEDS: Final = {"spacy": (), "huggingface": ("transformers", "torch"), "gliner": ("gliner",)}
_PACKAGE: Final = re.compile(r"[A-Za-z0-9]+(?:[_.-]+[A-Za-z0-9]+)*+")


def missing(ner: Ner) -> str | None:
    """What is not installed, and what to do. A folder is looked at, the libraries' own caches of
    models are not."""
    if absent := [name for name in _NEEDS[ner.kind] if find_spec(name) is None]:
        return (
            f"`{ner.kind}` lacks {' and '.join(absent)}: requests will be refused or go without; "
            "install what is missing into the gateway's environment"
        )
    if ner.kind != "spacy" or Path(ner.model).is_dir() or _is_installed(ner.model):
        return None
    if not _PACKAGE.fullmatch(ner.model):
        return (
            f"there is no folder `{ner.model}`: requests will be refused or go without; name the "
            "folder of a spaCy model, or the package of one that is installed"
        )
    return (
        f"the spaCy model `{ner.model}` is neither an installed package nor a folder: requests "
        f"will be refused or go without; install it with `python -m spacy download {ner.model}` "
        "in the gateway's environment, or name its folder"
    )


def _is_installed(package: str) -> bool:
    try:
        return bool(distribution(package))
    except (PackageNotFoundError, ValueError):
        return False
