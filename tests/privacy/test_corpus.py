"""The corpus of `make privacy-report` and the streams of `make fuzz`, a part of each."""

import asyncio
import json
from pathlib import Path

import pytest
from fuzz import fuzz

import private_names
from gateway.backends.entities import ENTITIES
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.privacy.spans import resolve
from private_corpus import Sample, entities_of, generated, read
from private_quality import measured, python_source

Found = list[tuple[int, int, str]]


def found_in(texts: list[str]) -> dict[str, Found]:
    async def run() -> dict[str, Found]:
        detector = PresidioDetector(1, Patience(600))
        await detector.warm()
        found = await detector.detect(texts, ENTITIES)
        await detector.aclose()
        return {
            text: [(s.start, s.end, s.entity) for s in resolve(s for s in spans if s.score >= 0.4)]
            for text, spans in zip(texts, found, strict=True)
        }

    return asyncio.run(run())


def test_nearly_everything_is_found_and_nearly_nothing_else() -> None:
    samples = list(generated(600))
    found = found_in([sample.text for sample in samples])
    scores = measured(samples, found.__getitem__, sorted(entities_of(samples)))
    for entity, score in scores.items():
        assert score.hit + score.missed >= 10, entity
        assert score.recall > 0.95, (entity, score.misses)
        assert score.precision > 0.95, entity


def test_most_names_are_found_without_a_model_and_little_else() -> None:
    samples = list(private_names.named(300))
    found = found_in([sample.text for sample in samples])
    scores = measured(samples, found.__getitem__, list(private_names.ENTITIES))
    for entity, score in scores.items():
        assert score.recall > 0.6, (entity, score.misses)
        assert score.precision > 0.8, entity


def test_hardly_anything_in_source_code_is_private() -> None:
    source = python_source(2**18)
    assert len(found_in([source])[source]) <= 30  # 120 in 1 MiB


def test_random_streams_come_back_as_they_were() -> None:
    assert asyncio.run(fuzz(2000, first=1_000_000)) > 2000


def test_a_corpus_of_ones_own_is_read_and_its_wrong_lines_are_told(tmp_path: Path) -> None:
    path = tmp_path / "data.jsonl"
    path.write_text(
        json.dumps({"text": "é ann@x.de", "spans": [[2, 10, "EMAIL_ADDRESS"]]}) + "\n\n"
    )
    assert list(read(path)) == [Sample("data", "é ann@x.de", ((2, 10, "EMAIL_ADDRESS"),))]
    for wrong in ("{", '{"text": "x"}', '{"text": "x", "spans": [[1, 2]]}', "[]"):
        path.write_text("\n" + wrong)
        with pytest.raises(SystemExit, match=r"data\.jsonl:2: .*write"):
            list(read(path))


def test_a_score_weighs_recall_twice_as_much_as_precision() -> None:
    sample = Sample("x", "aa bb cc", ((0, 2, "A"), (3, 5, "A")))
    scores = measured([sample], lambda _: [(0, 2, "A"), (3, 5, "B"), (6, 8, "A")], ["A"])
    assert (scores["A"].hit, scores["A"].missed, scores["A"].false) == (1, 1, 1)
    assert scores["A"].f2 == pytest.approx(0.5)
    one_missed = measured([sample], lambda _: [(0, 2, "A")], ["A"])["A"]
    assert one_missed.f2 == pytest.approx(5 * 0.5 / 4.5)
