"""A small spaCy pipeline that knows some names, trained in a moment, to test the NER slot with."""

from __future__ import annotations

import random
from pathlib import Path

import spacy
from spacy.training import Example

NAMES = ["Anna Kovacs", "Ben Okafor", "Carla Jimenez", "Deniz Aydin", "Emil Larsson", "Fatima Noor"]
PLACES = ["Lisbon", "Osaka", "Nairobi", "Tallinn", "Quito"]
TEMPLATES = [
    "{name} lives in {place} now .",
    "I met {name} yesterday in {place} .",
    "Please write to {name} about the invoice .",
    "The office in {place} is closed .",
    "Nothing happens here today .",
]


def train(folder: Path) -> Path:
    """The folder of a pipeline with the labels PERSON and GPE."""
    chance = random.Random(7)
    spacy.util.fix_random_seed(7)
    nlp = spacy.blank("en")
    recognizer = nlp.add_pipe("ner")
    for label in ("PERSON", "GPE"):
        recognizer.add_label(label)  # type: ignore[attr-defined]
    examples = [_example(nlp, chance) for _ in range(120)]
    optimizer = nlp.initialize(lambda: examples)
    for _ in range(6):
        chance.shuffle(examples)
        for at in range(0, len(examples), 16):
            nlp.update(examples[at : at + 16], sgd=optimizer, drop=0.1)
    nlp.to_disk(folder)
    return folder


def _example(nlp: spacy.language.Language, chance: random.Random) -> Example:
    template = chance.choice(TEMPLATES)
    name, place = chance.choice(NAMES), chance.choice(PLACES)
    text = template.format(name=name, place=place)
    entities = [
        (text.index(value), text.index(value) + len(value), label)
        for value, label in ((name, "PERSON"), (place, "GPE"))
        if value in text
    ]
    return Example.from_dict(nlp.make_doc(text), {"entities": entities})
