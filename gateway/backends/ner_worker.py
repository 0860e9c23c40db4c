"""What runs in a process of the NER pool: a model, loaded once, over the texts of one request.

Nothing is downloaded: a model is a package that is installed, or a folder."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from gateway.backends import process_pool
from gateway.backends.process_pool import NotLoaded, at_most
from gateway.privacy.profile import Ner
from gateway.privacy.spans import Span
from gateway.privacy.windows import BEHIND, OWN, find_in_windows

Pipeline = Callable[[Sequence[str]], list[list[Span]]]
"""The findings of each text; none of the texts is longer than some windows."""


def begin() -> None:
    """Set the process up: no library may fetch anything."""
    process_pool.begin()
    os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")


def load(ner: Ner) -> None:
    """Raises NotLoaded."""
    _pipeline(ner)


def find(ner: Ner, texts: Sequence[str]) -> list[list[Span]]:
    """Spans a text: short texts in one batch, long ones in windows.

    Raises NotLoaded, TooLate, or what the model raises."""
    pipeline = _pipeline(ner)
    with at_most(ner.timeout_seconds):
        short = [text for text in texts if len(text) <= OWN + BEHIND]
        batch = iter(pipeline(short))
        return [
            next(batch)
            if len(text) <= OWN + BEHIND
            else find_in_windows(text, lambda window: pipeline([window])[0])
            for text in texts
        ]


@lru_cache(1)
def _pipeline(ner: Ner) -> Pipeline:
    try:
        return _KINDS[ner.kind](ner)
    except (ImportError, OSError, RuntimeError, TypeError, ValueError, LookupError) as problem:
        why = " ".join(str(problem).split())[:300]
    raise NotLoaded(f"{ner.kind} cannot load {ner.model}: {why}")


def _spacy(ner: Ner) -> Pipeline:
    import spacy

    nlp = spacy.load(ner.model)
    entity_of = dict(ner.labels)

    def pipeline(texts: Sequence[str]) -> list[list[Span]]:
        return [
            [
                Span(one.start_char, one.end_char, entity_of[one.label_], ner.score)
                for one in document.ents
                if one.label_ in entity_of
            ]
            for document in nlp.pipe(texts)
        ]

    return pipeline


def _huggingface(ner: Ner) -> Pipeline:
    from presidio_analyzer.predefined_recognizers import HuggingFaceNerRecognizer

    return _of_presidio(
        HuggingFaceNerRecognizer(model_name=ner.model, label_mapping=dict(ner.labels))
    )


def _gliner(ner: Ner) -> Pipeline:
    from presidio_analyzer.predefined_recognizers import GLiNERRecognizer

    return _of_presidio(GLiNERRecognizer(model_name=ner.model, entity_mapping=dict(ner.labels)))


def _of_presidio(recognizer: Any) -> Pipeline:
    recognizer.load()
    entities = recognizer.get_supported_entities()

    def pipeline(texts: Sequence[str]) -> list[list[Span]]:
        return [
            [
                Span(one.start, one.end, one.entity_type, float(one.score))
                for one in recognizer.analyze(text, entities, None)
            ]
            for text in texts
        ]

    return pipeline


_KINDS: Final[Mapping[str, Callable[[Ner], Pipeline]]] = {
    "spacy": _spacy,
    "huggingface": _huggingface,
    "gliner": _gliner,
}
