"""`make privacy-report`: what is found, what is missed, and what it costs, beside stock Presidio
in the same run. bench/README.md says how to read it."""

from __future__ import annotations

import argparse
import asyncio
import functools
import gc
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import SpacyNlpEngine

import private_names
from gateway.backends.entities import ENTITIES
from gateway.backends.presidio_detector import Patience, PresidioDetector
from gateway.privacy.remembered import Remembered
from gateway.privacy.spans import resolve
from private_corpus import Sample, entities_of, generated, read
from private_latency import (
    HOSTILE,
    KINDS,
    SIZES,
    conversation,
    hostile,
    latency,
    seconds_of,
    texts,
)
from private_many import many_texts
from private_quality import Found, Score, measured, python_source

SCORE_MIN = 0.4
NAMED = frozenset(private_names.ENTITIES)
WITH_FORM = ENTITIES - NAMED
BARS = {"200 B": None, "2 kB": 1.0, "50 kB": 20.0, "400 kB": 200.0}
STALL_BAR = 20.0
STOCK_RUNS = {"200 B": 20, "2 kB": 20, "50 kB": 1, "400 kB": 0}  # it takes a minute for the last
SAMPLES = 4000


class BlankSpacy(SpacyNlpEngine):
    """Stock Presidio without a model: tokens only. With one it is slower by far."""

    def __init__(self) -> None:
        super().__init__()
        self.nlp = {"en": spacy.blank("en")}


@functools.cache
def stock() -> AnalyzerEngine:
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(suffix_list_urls=())  # no network
    registry = RecognizerRegistry(supported_languages=["en"])
    registry.load_predefined_recognizers(languages=["en"])
    return AnalyzerEngine(registry=registry, nlp_engine=BlankSpacy(), supported_languages=["en"])


def of_stock(text: str) -> Found:
    found = stock().analyze(text, "en", score_threshold=SCORE_MIN)
    return [(one.start, one.end, one.entity_type) for one in found]


async def found_by(
    detector: PresidioDetector, corpus: list[str], asked: frozenset[str] = WITH_FORM
) -> dict[str, Found]:
    """What the gateway acts on: sure enough, and overlaps resolved."""
    found: dict[str, Found] = {}
    for text in corpus:
        (spans,) = await detector.detect([text], asked)
        sure = resolve(span for span in spans if span.score >= SCORE_MIN)
        found[text] = [(one.start, one.end, one.entity) for one in sure]
    return found


async def quality(detector: PresidioDetector, samples: list[Sample]) -> dict[str, Any]:
    entities = sorted(entities_of(samples))
    asked = ENTITIES if NAMED & set(entities) else WITH_FORM
    ours = await found_by(detector, [sample.text for sample in samples], asked)
    mine = measured(samples, ours.__getitem__, entities)
    theirs = measured(samples, of_stock, [one for one in entities if one in _of_stock()])
    head = f"{'entity':18}{'values':>8}{'recall':>9}{'precis.':>9}{'F2':>8}"
    print(f"{head}{'stock F2':>11}")
    for entity in entities:
        beside = f"{theirs[entity].f2:11.3f}" if entity in theirs else f"{'-':>11}"
        print(f"{_row(entity, mine[entity])}{beside}")
        for value in mine[entity].misses[:2]:
            print(f"    missed: {value[:70]!r}")
    whole = Score(
        sum(one.hit for one in mine.values()),
        sum(one.missed for one in mine.values()),
        sum(one.false for one in mine.values()),
    )
    print(_row("all", whole))
    return {entity: [one.recall, one.precision, one.f2] for entity, one in mine.items()}


def _row(name: str, score: Score) -> str:
    values = score.hit + score.missed
    return f"{name:18}{values:8}{score.recall:9.3f}{score.precision:9.3f}{score.f2:8.3f}"


def _of_stock() -> set[str]:
    return set(stock().get_supported_entities("en"))


async def source_code(detector: PresidioDetector) -> dict[str, int]:
    source = python_source(2**20)
    (ours,) = (await found_by(detector, [source])).values()
    counts = Counter(entity for _, _, entity in ours)
    theirs = sum(len(of_stock(source[at : at + 50_000])) for at in range(0, len(source), 50_000))
    print(f"\nspans in 1 MiB of Python's library: {counts.total()} (bar 120), stock {theirs}")
    print("   ", ", ".join(f"{entity} {count}" for entity, count in counts.most_common()))
    return dict(counts)


async def speed(detector: PresidioDetector) -> dict[str, Any]:
    async def ours(text: str) -> object:
        return await detector.detect([text], WITH_FORM)

    async def with_names(text: str) -> object:
        return await detector.detect([text], ENTITIES)

    async def theirs(text: str) -> object:
        return await asyncio.to_thread(of_stock, text)

    head = f"{'text':7}{'size':8}{'median':>9}{'p99':>9}{'stall':>8}{'bar':>7}{'stock median':>15}"
    print(f"\n{head}  (ms; bar of the stall: {STALL_BAR:g})")
    rows: dict[str, Any] = {}
    for kind in KINDS:
        for name, size in SIZES.items():
            given = texts(kind, size, 200 if size <= 2000 else 20)
            middle, late, stalled = rows[f"{kind} {name}"] = await latency(ours, given)
            row = f"{kind:7}{name:8}{middle:9.2f}{late:9.2f}{stalled:8.1f}{BARS[name] or '':>7}"
            runs = STOCK_RUNS[name]
            beside = f"{(await latency(theirs, given[:runs]))[0]:15.1f}" if runs else f"{'-':>15}"
            print(row + beside, flush=True)
    for name, size in SIZES.items():
        middle, late, stalled = await latency(with_names, texts("prose", size, 20))
        rows[f"prose and names {name}"] = middle, late, stalled
        print(f"{'+names':7}{name:8}{middle:9.2f}{late:9.2f}{stalled:8.1f}")
    print(f"(stock Presidio: its {len(_of_stock())} kinds for English, tokens only, no model)")
    return rows


async def adversarial(detector: PresidioDetector) -> dict[str, Any]:
    """Eight times the text shall take some eight times as long, whatever is in it."""

    async def ours(text: str) -> object:
        return await detector.detect([text], ENTITIES)

    rows = {}
    for name in HOSTILE:
        small, large = [
            (await latency(ours, [hostile(name, size)] * 3))[0] for size in (50_000, 400_000)
        ]
        rows[name] = small, large, large / small
    print(f"\ntexts made to be slow, the five slowest {'50 kB':>10}{'400 kB':>10}  (ms)")
    for name in sorted(rows, key=lambda one: -rows[one][1])[:5]:
        print(f"    {name:36}{rows[name][0]:10.1f}{rows[name][1]:10.1f}")
    worst = max(row[2] for row in rows.values())
    print(f"    8 times the text took at most {worst:.1f} times as long")
    return rows


async def conversations(detector: PresidioDetector) -> dict[str, float]:
    ratios = {}
    for kind in ("chat", "agent"):
        requests = conversation(20, kind)
        unique = [requests[-1]]

        async def plain(messages: list[str]) -> object:
            return await detector.detect(messages, WITH_FORM)

        async def kept(messages: list[str], cache: Remembered) -> object:
            return await cache.detect(messages, WITH_FORM)

        once = min([await seconds_of([[one] for one in unique[0]], plain) for _ in range(5)])
        without = await seconds_of(requests, plain)
        takes = []
        for _ in range(5):
            cache = Remembered(detector, os.urandom(32), 100_000)
            takes.append(await seconds_of(requests, functools.partial(kept, cache=cache)))
        ratios[kind] = min(takes) / once
        print(
            f"{kind:6} of 20 turns: each text once {once * 1e3:7.1f} ms, without the cache "
            f"{without / once:5.1f} x that, with it {ratios[kind]:4.2f} x (bar 1.3)"
        )
    return ratios


async def report(samples: list[Sample], with_speed: bool) -> dict[str, Any]:
    detector = PresidioDetector(2, Patience(600))
    await detector.warm()
    gc.collect()
    gc.freeze()  # as the gateway does
    told: dict[str, Any] = {"quality": await quality(detector, samples)}
    if with_speed:
        print("\nnames by lists and cues, without a model")
        told["names"] = await quality(detector, list(private_names.named(len(samples) // 4)))
        told["source"] = await source_code(detector)
        told["latency_ms"] = await speed(detector)
        told["adversarial"] = await adversarial(detector)
        told["conversations"] = await conversations(detector)
        told["many_texts"] = await many_texts(
            lambda pool: Remembered(detector, os.urandom(32), 100_000, pool)
        )
    await detector.aclose()
    return told


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="a JSONL file of your own instead of the corpus")
    parser.add_argument("--samples", type=int, default=SAMPLES, help="texts of the corpus")
    parser.add_argument("--seed", type=int, default=4)
    parser.add_argument("--out", type=Path, help="write the raw figures there, as JSON")
    chosen = parser.parse_args()
    samples = list(read(chosen.data) if chosen.data else generated(chosen.samples, chosen.seed))
    told = asyncio.run(report(samples, with_speed=not chosen.data))
    if chosen.out:
        chosen.out.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
