"""The NER slot, with real processes and a small pipeline that is trained here."""

import asyncio
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import pytest
from small_ner import train

from gateway.backends import process_pool
from gateway.backends.ner_pool import NerPool
from gateway.privacy.profile import NER_LABELS, Custom, Ner, Using
from gateway.privacy.redact import DetectionFailed, DetectorMissing

T = TypeVar("T")
TEXT = "I met Anna Kovacs yesterday in Osaka ."
BOTH = frozenset({"PERSON", "LOCATION"})


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Ner:
    folder = train(tmp_path_factory.mktemp("ner"))
    return Ner("small", "spacy", str(folder), tuple(NER_LABELS.items()), timeout_seconds=60.0)


def run(work: Callable[[NerPool], Coroutine[Any, Any, T]], processes: int = 1) -> T:
    async def main() -> T:
        pool = NerPool(processes, load_seconds=60)
        try:
            return await work(pool)
        finally:
            await pool.aclose()

    return asyncio.run(main())


def pids(pool: NerPool) -> list[int]:
    return [pid for one in pool._pools.values() for pid in one.pids()]


async def values(pool: NerPool, ner: Ner, *texts: str) -> list[list[tuple[str, str]]]:
    found = await pool.detect(texts, BOTH, Using(ner=ner))
    return [
        [(span.entity, text[span.start : span.end]) for span in spans]
        for text, spans in zip(texts, found, strict=True)
    ]


def test_it_finds_names_by_what_stands_around_them(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        assert await pool.prepare([engine]) == {}
        assert await values(pool, engine, TEXT, "", "Nothing happens here today .") == [
            [("PERSON", "Anna Kovacs"), ("LOCATION", "Osaka")],
            [],
            [],
        ]
        (spans,) = await pool.detect([TEXT], frozenset({"PERSON"}), Using(ner=engine))
        assert [(span.entity, span.score) for span in spans] == [("PERSON", 0.85)]
        assert await pool.detect([TEXT], BOTH) == [[]]  # the policy names no engine

    run(work)


def test_a_long_text_is_looked_at_in_windows(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        filler = "Nothing happens here today .\n" * 1500
        text = filler + TEXT + "\n" + filler + TEXT
        (found,) = await values(pool, engine, text)
        assert found.count(("PERSON", "Anna Kovacs")) == 2

    run(work)


def test_labels_of_the_policy_name_the_entities(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        ner = replace(engine, labels=(("PERSON", "CUSTOMER"),))
        (spans,) = await pool.detect([TEXT], frozenset({"CUSTOMER"}), Using(ner=ner))
        assert [span.entity for span in spans] == ["CUSTOMER"]

    run(work)


@pytest.mark.parametrize("kind", ["spacy", "huggingface", "gliner"])
def test_a_model_that_is_not_there_is_told_and_fails_each_request(kind: str) -> None:
    async def work(pool: NerPool) -> None:
        ner = Ner("none", kind, "no_such_model", timeout_seconds=60.0)
        (problem,) = (await pool.prepare([ner])).values()
        assert f"NER engine none: {kind} cannot load no_such_model" in problem
        with pytest.raises(DetectorMissing, match="cannot load"):
            await values(pool, ner, TEXT)

    run(work)


def test_what_is_late_fails_and_the_process_is_free_again(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        hasty = replace(engine, timeout_seconds=0.2)
        assert await pool.prepare([hasty]) == {}
        with pytest.raises(DetectionFailed) as failure:
            await values(pool, hasty, f"{TEXT}\n" * 20_000)
        assert TEXT not in "".join(traceback.format_exception(failure.value))
        for _ in range(50):  # until its own clock has stopped the work
            try:
                assert await values(pool, hasty, TEXT)
                break
            except DetectionFailed:
                await asyncio.sleep(0.1)
        else:
            pytest.fail("the process is still at work")

    run(work)


def test_a_killed_process_fails_its_requests_and_is_replaced(
    engine: Ner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process_pool, "PAUSE_SECONDS", 0.3)

    async def work(pool: NerPool) -> None:
        assert await pool.prepare([engine]) == {}
        for pid in pids(pool):
            os.kill(pid, signal.SIGKILL)
        with pytest.raises(DetectionFailed):
            await values(pool, engine, TEXT)
        with pytest.raises(DetectionFailed, match="starts again"):
            await values(pool, engine, TEXT)
        await asyncio.sleep(0.35)
        assert (await values(pool, engine, TEXT))[0]

    run(work)


def test_engines_that_no_policy_names_any_more_are_ended(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        await pool.prepare([engine])
        old = pids(pool)
        assert len(old) == 2
        await pool.prepare([])
        assert pids(pool) == []
        for _ in range(100):
            if not any(map(_is_alive, old)):
                return
            await asyncio.sleep(0.1)
        pytest.fail("a process is still there")

    run(work, processes=2)


PARENT = """
import asyncio, sys
from gateway.backends.ner_pool import NerPool
from gateway.privacy.profile import Ner

async def main():
    pool = NerPool(1, load_seconds=60)
    assert await pool.prepare([Ner("small", "spacy", sys.argv[1])]) == {}
    print(*(pid for one in pool._pools.values() for pid in one.pids()), flush=True)
    await asyncio.sleep(60)

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_its_processes_end_with_a_killed_gateway(engine: Ner, tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    command = [sys.executable, str(script), engine.model]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        workers = [int(pid) for pid in parent.stdout.readline().split()]
        assert len(workers) == 1
        parent.kill()
    deadline = time.monotonic() + 20
    while any(map(_is_alive, workers)):
        assert time.monotonic() < deadline, "a process outlives the gateway"
        time.sleep(0.05)


def _is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").split()[2] != "Z"
    except FileNotFoundError:
        return False


def test_half_a_surrogate_pair_hides_no_name(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        text = f"\ud800 {TEXT}"
        found = await values(pool, engine, text, "\udfff")
        assert found == [[("PERSON", "Anna Kovacs"), ("LOCATION", "Osaka")], []]

    run(work)


def test_a_name_that_is_allowed_is_none(engine: Ner) -> None:
    async def work(pool: NerPool) -> None:
        using = Using((Custom("PERSON", allow=("anna kovacs",)),), engine)
        (spans,) = await pool.detect([TEXT], BOTH, using)
        assert [span.entity for span in spans] == ["LOCATION"]

    run(work)
