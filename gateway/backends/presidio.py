"""Presidio's classes, without spaCy: they only mention it in types and in engines that we do not
use, but it would be 86 MB of memory and half a second of each start.

Whoever needs the real one (`surroundings.py`, the processes of NER engines) imports it by itself;
if that was before this module, nothing is kept out.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any, Final

_KEPT_OUT: Final = frozenset({"spacy", "thinc"})  # and all that these bring


class _Name(type):
    """A class that can stand in a type, and that registers what it decorates nowhere."""

    def __getattr__(cls, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return cls

    def __call__(cls, *given: Any, **named: Any) -> Any:
        return lambda decorated: decorated


class _Mentioned(ModuleType):
    """A module of which everything can be named, and nothing be used."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Name(name, (), {})


class _Mentions(MetaPathFinder, Loader):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        is_kept_out = name.partition(".")[0] in _KEPT_OUT
        return ModuleSpec(name, self, is_package=True) if is_kept_out else None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Mentioned(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """There is nothing in it."""


@contextmanager
def _only_mentioned() -> Iterator[None]:
    """What is imported in here finds names in place of the packages; later imports find it."""
    if not _KEPT_OUT.isdisjoint(sys.modules):
        yield
        return
    finder = _Mentions()
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)
        for name, module in list(sys.modules.items()):
            if isinstance(module, _Mentioned):
                del sys.modules[name]


with _only_mentioned():
    from presidio_analyzer import EntityRecognizer as EntityRecognizer
    from presidio_analyzer import LocalRecognizer as LocalRecognizer
    from presidio_analyzer import Pattern as Pattern
    from presidio_analyzer import PatternRecognizer as PatternRecognizer
    from presidio_analyzer import RecognizerResult as RecognizerResult
    from presidio_analyzer import predefined_recognizers as predefined_recognizers
    from presidio_analyzer.nlp_engine import NlpArtifacts as NlpArtifacts
