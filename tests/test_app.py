"""How settings and policies become parts: where an upstream is, and what is told when work ends."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import select, text
from world import POLICY, World

from gateway import app, background, retention
from gateway.backends.database import Database
from gateway.backends.sql_book import post_entries
from gateway.backends.tables import entries
from gateway.errors import Unavailable
from gateway.loading import load_models, models_lacking
from gateway.parts import Wanted
from gateway.policy.policy import Policy, UpstreamPolicy, WithoutKey
from gateway.privacy.profile import Images, Ner, OnDetectorFailure
from gateway.usage.entry import Entry

OPENAI = UpstreamPolicy(
    "openai",
    "https://api.example.com/v1/",
    base_url_env="BASE",
    api_key_env="KEY",
    without_key=WithoutKey.SIMULATE,
)
STRICT = UpstreamPolicy("strict", "https://api.example.com/v1", api_key_env="KEY")
OPEN = UpstreamPolicy("open", "http://127.0.0.1:8000/v1")
SIMULATOR = UpstreamPolicy("simulator", "", simulated=True)


def resolved(upstream: UpstreamPolicy, **environ: str):
    return app.resolver(environ, lambda: "http://simulator/v1")(upstream)


def test_an_upstream_has_its_url_and_key_out_of_the_environment() -> None:
    target = resolved(OPENAI, KEY="sk-1")
    assert (target.base_url, target.api_key) == ("https://api.example.com/v1", "sk-1")
    assert resolved(OPENAI, KEY="sk-1", BASE="http://other/v1").base_url == "http://other/v1"
    assert resolved(OPEN).api_key is None
    assert "sk-1" not in repr(target)


def test_without_its_key_an_upstream_is_simulated_only_where_the_policy_says_so() -> None:
    assert resolved(OPENAI).base_url == "http://simulator/v1"
    assert resolved(OPENAI, KEY="").base_url == "http://simulator/v1"
    assert resolved(SIMULATOR, KEY="sk-1").base_url == "http://simulator/v1"
    with pytest.raises(Unavailable, match="set KEY") as refusal:
        resolved(STRICT)
    assert refusal.value.code == "upstream_key_missing"


def test_work_in_the_background_that_ends_is_told_and_shown_and_begun_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(background, "PAUSE_SECONDS", 0.02)
    world = World()
    readiness = app._checks(world.parts, None, lambda: None)["background"]
    ends: list[str] = ["breaks", "returns", "waits for what is cancelled"]
    cancelled: list[str] = []

    async def work() -> None:
        if ends:
            match ends.pop():
                case "breaks":
                    raise RuntimeError("a secret")
                case "waits for what is cancelled":
                    gone = asyncio.get_running_loop().create_future()
                    gone.cancel()
                    await gone
        else:
            try:
                await asyncio.sleep(60)
            finally:
                cancelled.append("yes")

    async def main() -> None:
        task = asyncio.create_task(background.kept_up("policy", work, world.parts))
        said = []
        for _ in range(200):
            said.append(await readiness())
            await asyncio.sleep(0.005)
            if said[-1] is None and len(set(said)) > 3:
                break
        assert set(said) == {None} | {
            f"policy ended: {why}" for why in ("of itself", "RuntimeError", "CancelledError")
        }
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert cancelled == ["yes"]
    assert world.parts.meters.degraded.labels("background")._value.get() == 0
    events = [event for event, _ in world.log.lines]
    assert events == ["background_work_ended"] * 3 + ["background_work_goes_on"]
    assert world.log.lines[0][1]["exception"] == "CancelledError"
    assert world.log.lines[2][1]["exception"] == "RuntimeError"
    assert "a secret" not in str(world.log.lines)


@pytest.mark.parametrize("fault", [KeyError("a secret"), asyncio.CancelledError("a secret")])
def test_a_fault_of_ours_in_a_reload_is_a_reload_that_failed(
    fault: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    old = world.parts.policies.current
    text = POLICY.replace(b"amount: 5,", b"amount: 6,")

    def broken(*_: object) -> None:
        raise fault

    async def prepare(_: Policy) -> dict[Wanted, str]:
        return {}

    async def main() -> None:
        reload = partial(
            app._reload, world.parts, ({"p.yaml": text}, ()), {}, prepare, lambda: None
        )
        with monkeypatch.context() as patch:
            patch.setattr("gateway.policy.live.parse", broken)
            await reload()
        assert world.parts.policies.current is old
        assert world.parts.meters.policy_failures._value.get() == 1
        assert world.parts.meters.degraded.labels("policy")._value.get() == 1
        await reload()

    asyncio.run(main())
    assert world.parts.policies.current is not old
    assert world.parts.meters.degraded.labels("policy")._value.get() == 0
    (refused, taken) = world.log.lines
    assert (refused[0], refused[1]["exception"], taken[0]) == (
        "policy_refused", type(fault).__name__, "policy_taken_over",
    )  # fmt: skip
    assert "a secret" not in str(world.log.lines)


def small(on_failure: str) -> Ner:
    return Ner("small", "spacy", "none", on_failure=OnDetectorFailure(on_failure))


@pytest.mark.parametrize(
    ("wanted", "part", "is_ready"),
    [
        (small("refuse"), "ner", False),
        (small("without_ner"), "ner", True),
        (Images.OCR, "ocr", False),
    ],
    ids=["refuse", "without_ner", "ocr"],
)
def test_a_model_that_the_policy_needs_and_that_does_not_load_is_not_ready(
    wanted: Wanted, part: str, is_ready: bool
) -> None:
    world = World()

    async def prepare(_: Policy) -> dict[Wanted, str]:
        return {wanted: "it is not there"}

    async def main() -> tuple[str | None, str | None]:
        await load_models(world.parts, prepare)
        checks = app._checks(world.parts, None, lambda: None)
        return await checks["ner"](), await checks["ocr"]()

    said = dict(zip(("ner", "ocr"), asyncio.run(main()), strict=True))
    other = "ocr" if part == "ner" else "ner"
    assert said == {part: None if is_ready else "it is not there", other: None}
    degraded = world.parts.meters.degraded
    assert [degraded.labels(one)._value.get() for one in (part, other)] == [1, 0]
    assert world.log.lines == [(f"{part}_not_loaded", {"problem": "it is not there"})]


def schema_check(url: str, redis_url: str | None = None) -> str | None:
    """What readiness says of the tables."""
    world = World(redis_url=redis_url)

    async def main() -> str | None:
        database = Database(url, 1)
        try:
            return await app._checks(world.parts, database, lambda: None)["schema"]()
        finally:
            await database.aclose()

    return asyncio.run(main())


def test_a_gateway_stays_ready_while_a_newer_version_has_migrated_under_it(tmp_path: Any) -> None:
    """Else an upgrade would take all replicas away before the first new one is there."""
    url = f"sqlite:///{tmp_path}/gateway.db"
    assert schema_check(url) == "The database has no tables yet; run `gateway migrate`."
    database = Database(url, 1)
    database.migrate()
    assert schema_check(url) is None

    async def newer() -> None:
        revision = "UPDATE alembic_version SET version_num = '9999'"
        await database.write(lambda connection: connection.execute(text(revision)))
        await database.aclose()

    asyncio.run(newer())
    assert schema_check(url) is None


def test_a_database_that_is_away_makes_unready_only_who_keeps_accounts_in_it() -> None:
    """With Redis the gateway goes on for hours; were it not ready, no caller would get there."""
    away = "postgresql://me@127.0.0.1:1/x"
    assert "cannot be reached" in (schema_check(away) or "")
    assert schema_check(away, "redis://127.0.0.1") is None


@pytest.mark.parametrize(("on_failure", "is_ready"), [("refuse", False), ("without_ner", True)])
def test_while_a_model_of_a_changed_policy_loads_that_is_told(
    on_failure: str, is_ready: bool
) -> None:
    world = World()
    parts, degraded = world.parts, world.parts.meters.degraded.labels("ner")
    old = Ner("old", "spacy", "small")
    new = Ner("new", "spacy", "other", on_failure=OnDetectorFailure(on_failure))
    seen: list[tuple[str | None, float]] = []

    async def prepare(policy: Policy) -> dict[Wanted, str]:
        seen.append((models_lacking(parts, "ner"), degraded._value.get()))
        return {new: "it is not there"} if new in policy.ner_engines() else {}

    async def taken_over(known: list[Ner], *engines: Ner) -> tuple[str | None, float]:
        policy = SimpleNamespace(ner_engines=lambda: frozenset(engines), images=lambda: frozenset())
        policies: Any = SimpleNamespace(current=policy)
        await load_models(replace(parts, policies=policies), prepare, known)
        return models_lacking(parts, "ner"), degraded._value.get()

    async def main() -> None:
        loading = None if is_ready else "NER engine new: loading"
        failed = None if is_ready else "it is not there"
        assert await taken_over([], old) == (None, 0)
        assert await taken_over([old], old, new) == (failed, 1)
        assert await taken_over([old, new], old, new) == (failed, 1)
        assert await taken_over([old, new], old) == (None, 0)
        assert seen[1:] == [(loading, 1), (failed, 1), (None, 0)]

    asyncio.run(main())


def test_a_sweep_that_cannot_reach_its_ledger_goes_on_when_it_can() -> None:
    world = World(sweep_seconds=0.05)
    swept = asyncio.Event()
    answers: list[object] = [Unavailable("gone", code="ledger_unavailable"), 3]

    async def sweep(now: float) -> int:
        answer = answers.pop(0) if answers else 0
        if not answers:
            swept.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    world.ledger.sweep = sweep

    async def main() -> None:
        task = asyncio.create_task(app._sweep(world.parts))
        await swept.wait()
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])

    asyncio.run(main())
    assert world.parts.meters.reservations_abandoned._value.get() == 3
    assert world.parts.meters.degraded.labels("sweep")._value.get() == 0


@pytest.mark.parametrize(("days", "spoiled"), [(40, False), (0, False), (40, True)])
def test_entries_are_kept_as_long_as_the_setting_says_and_while_their_sums_are_wrong(
    tmp_path, monkeypatch, days, spoiled
):
    monkeypatch.setattr(retention, "PRUNE_PAUSE_SECONDS", 0)
    monkeypatch.setattr(retention, "PRUNE_SECONDS", 0.02)
    world = World(entries_kept_days=days)
    now = world.parts.clock()
    book = [Entry(f"req_{n}", now - n * 20 * 86400) for n in range(10)]
    kept = [one for one in book if not days or spoiled or one.time >= now - 31 * 86400]

    query = select(entries.c.id)

    async def main() -> set[str]:
        database = Database(f"sqlite:///{tmp_path}/gateway.db", 2)
        database.migrate()
        await post_entries(database, book)
        if spoiled:
            spoil = text("UPDATE rollup_models SET entries = 2 WHERE span = 'hour'")
            await database.write(lambda c: c.execute(spoil))
        task = asyncio.create_task(retention.prune_forever(world.parts, database))
        ids: set[str] = set()
        for _ in range(100):
            await asyncio.sleep(0.01)
            ids = set(await database.read(lambda c: list(c.scalars(query))))
            told = world.parts.meters.degraded.labels("retention")._value.get() if days else 0
            if len(ids) < len(book) or told:
                break
        task.cancel()
        await asyncio.wait([task])
        await database.aclose()
        return ids

    left = asyncio.run(main())
    assert {one.id for one in kept} <= left
    assert (len(left) < len(book)) == (days > 0 and not spoiled)
    assert world.parts.meters.degraded.labels("retention")._value.get() == int(spoiled)
