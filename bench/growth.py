"""`make growth`: what stays flat as a gateway grows, in one run on this machine, as a table and
JSON. bench/README.md says how to read it."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import text

from gateway.access import Access
from gateway.backends.database import Database
from gateway.backends.sql_audit import SqlAudit
from gateway.backends.sql_book import post_entries, spent_in
from gateway.backends.sql_grants import SqlGrants
from gateway.backends.sql_keyring import SqlKeyring
from gateway.backends.sql_prune import SqlPrune
from gateway.backends.sql_report import SqlReport
from gateway.backends.tables import micros
from gateway.keys.authenticate import authenticate
from gateway.request_id import new_request_id
from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.report import Query
from gateway.usage.rollup import Span
from growth_book import Size, fill_entries, fill_keys
from growth_reload import matching, reload_stall
from growth_streams import open_streams

SECTIONS = ("book", "reload", "streams")
WARM_TIMES = 5
GROUPS = (
    ("organization",), ("project",), ("project", "model"), ("key",), ("model",), ("status",),
    ("outcome", "code"), ("policy",), ("day",), ("hour",), ("day", "model"),
)  # fmt: skip
Figures = dict[str, Any]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__)
    words.add_argument("--entries", type=int, default=10_000_000)
    words.add_argument("--keys", type=int, default=100_000)
    words.add_argument("--projects", type=int, default=5_000)
    words.add_argument("--days", type=int, default=90)
    words.add_argument("--streams", type=int, default=2_000)
    words.add_argument("--database", choices=("sqlite", "postgres", "both"), default="both")
    words.add_argument("--sections", default=",".join(SECTIONS))
    words.add_argument("--folder", help="where some GB may be written; it is emptied afterwards")
    words.add_argument("--out", type=Path, help="a file for the figures as JSON")
    given = words.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="growth-", dir=given.folder))
    found: Figures = {"sizes": {k: v for k, v in vars(given).items() if isinstance(v, int)}}
    try:
        for section in given.sections.split(","):
            asyncio.run(MEASURES[section](given, folder, found))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if given.out:
            given.out.write_text(json.dumps(found, indent=2) + "\n")


async def book(given: argparse.Namespace, folder: Path, found: Figures) -> None:
    size = Size(given.entries, given.keys, given.projects, given.days, 1_790_000_000)
    if given.database in ("sqlite", "both"):
        found["sqlite"] = {}
        file = folder / "book.db"
        await measured_book(f"sqlite:///{file}", size, found["sqlite"], lambda: forget([file]))
        file.unlink()
    if given.database in ("postgres", "both"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import pgserver
        found["postgres"] = {}
        data = Path(tempfile.mkdtemp(prefix="growth-postgres-", dir=given.folder))
        server = pgserver.get_server(data, cleanup_mode="delete")
        try:
            await measured_book(
                server.get_uri(), size, found["postgres"], lambda: forget(data.glob("base/*/*"))
            )
        finally:
            server.cleanup()
            shutil.rmtree(data, ignore_errors=True)


async def measured_book(
    url: str, size: Size, found: Figures, forget_pages: Callable[[], None]
) -> None:
    database = Database(url, 2)
    try:
        database.migrate()
        print(f"\n{url.split(':')[0]}: {size.entries:,} entries, {size.keys:,} keys", flush=True)
        pepper = os.urandom(32)
        texts = await fill_keys(database, size, pepper, os.urandom)
        await authentication(database, texts, pepper, found)
        say(found, "fill the entries, s", await seconds_of(lambda: fill_entries(database, size)))
        audit = SqlAudit(database)
        days = await audit.days(0, None)
        say(found, "sum one day up anew, s", await seconds_of(lambda: audit.make(days[0])))

        async def all_days() -> None:
            for day in days:
                await audit.make(day)
            await audit.make_months(days)

        say(found, "sum everything up anew, s", await seconds_of(all_days))
        await database.write(lambda c: c.execute(text("ANALYZE")))  # as autovacuum would have
        day = await seconds_of(lambda: audit.wrong(days[1]))
        say(found, "compare one day's sums, s", day)
        await reports(database, size, found, forget_pages)
        await counters(database, size, found)
        await posting(database, size, found)
        await pruning(database, size, found)
    finally:
        await database.aclose()


async def authentication(
    database: Database, texts: list[str], pepper: bytes, found: Figures
) -> None:
    access = Access(SqlKeyring(database), SqlGrants(database, time.time), 100_000)
    for name in ("first use of a key, ms", "known key, ms"):
        took = [
            await seconds_of(lambda t=t: authenticate(f"Bearer {t}", access, pepper, time.time()))
            for t in texts
        ]
        say(found, f"authenticate: {name} (median)", 1000 * statistics.median(took))


async def reports(
    database: Database, size: Size, found: Figures, forget_pages: Callable[[], None]
) -> None:
    report = SqlReport(database)
    some = {"organization": "org1", "project": "p1"}
    week = size.until - 7.4 * 86400
    asked = [("all", Query(0, by=by)) for by in GROUPS]
    asked += [("7 days", Query(week, by=by)) for by in GROUPS]
    asked += [("project p1", Query(0, by=by, filters=some)) for by in (("key",), ("end_user",))]
    for name, query in asked:
        await timed_report(report, query, found, name, forget_pages)


async def timed_report(
    report: SqlReport, query: Query, found: Figures, span: str, forget_pages: Callable[[], None]
) -> None:
    forget_pages()
    cold = await seconds_of(lambda: report.sums(query))
    warm = [await seconds_of(lambda: report.sums(query)) for _ in range(WARM_TIMES)]
    rows = len(await report.sums(query))
    name = f"usage --by {','.join(query.by)}, {span}"
    found[name] = {"cold_ms": 1000 * cold, "warm_ms": 1000 * min(warm), "rows": rows}
    told = f"{1000 * cold:>9.1f} cold {1000 * min(warm):>9.1f} warm, ms; {rows} rows"
    print(f"  {name:<46} {told}", flush=True)


async def counters(database: Database, size: Size, found: Figures) -> None:
    """What a start reads for one budget."""
    subject = (("organization", "org1"), ("project", "p1"), ("key_id", "key_1"))
    since = float(size.until - size.days * 86400) + 1
    for count, level in ((1, "organization"), (2, "project"), (3, "key")):
        took = [
            await seconds_of(lambda n=count: spent_in(database, subject[:n], since))
            for _ in range(WARM_TIMES)
        ]
        say(found, f"read a budget of one {level}, ms", 1000 * min(took))


async def posting(database: Database, size: Size, found: Figures) -> None:
    """Groups as the journal commits them, into the full book."""
    chance = random.Random(1)
    for group in (1, 100, 1000):
        some = [_entry(n, size, chance) for n in range(max(group * 5, 200))]
        begun = time.perf_counter()
        for start in range(0, len(some), group):
            await post_entries(database, some[start : start + group])
        took = time.perf_counter() - begun
        say(found, f"post entries in groups of {group}, entries/s", len(some) / took)


def _entry(n: int, size: Size, chance: random.Random) -> Entry:
    key, time = int(size.keys * chance.random() ** 3), size.until - 3600.0 + n * 0.01
    return Entry(
        id=new_request_id(time, chance.randbytes), time=time,
        organization=f"org{key % size.projects % 100}", project=f"p{key % size.projects}",
        key_id=f"key_{key}", end_user=f"user{chance.randrange(10**6)}", model="model-1",
        served_model="model-1", upstream="openai", endpoint="chat", status=200,
        outcome=Outcome.OK, requests=1, tokens=Tokens(100, 0, 50), source=Source.PROVIDER,
        cost_nano=10**6, currency="USD", duration_ms=900, policy_digest="0123456789ab",
    )  # fmt: skip


async def pruning(database: Database, size: Size, found: Figures) -> None:
    """The oldest months: whole partitions, and a hundred batches of what is in none; and a writer
    beside each step."""
    before = Span.MONTH.start(micros(size.until - size.days * 86400 + 45 * 86400))
    chance = random.Random(2)
    steps = SqlPrune(database).prune(before)
    took: dict[str, list[float]] = {"a month": [], "a batch of 500": []}
    waits: dict[str, list[float]] = {"a month": [], "a batch of 500": []}
    begun = time.perf_counter()
    gone = await anext(steps, None)
    say(
        found,
        "prune: hold the sums against the entries, and the first step, s",
        time.perf_counter() - begun,
    )
    for _ in range(100):
        if gone is None:
            break
        done = asyncio.Event()
        writing = asyncio.create_task(writer(database, size, chance, done))
        begun = time.perf_counter()
        gone = await anext(steps, None)
        seconds = time.perf_counter() - begun
        done.set()
        worst = await writing
        if gone is not None:
            step = "a month" if gone.partition else "a batch of 500"
            took[step].append(seconds)
            waits[step].append(worst)
            if gone.partition:
                print(f"    {gone.partition}: {gone.entries:,} entries", flush=True)
    await steps.aclose()
    for step in (step for step in took if took[step]):
        say(found, f"prune: {step}, ms (median)", 1000 * statistics.median(took[step]))
        say(found, f"prune: {step}, ms (worst)", 1000 * max(took[step]))
        say(found, f"prune: the worst write meanwhile, {step}, ms", 1000 * max(waits[step]))


async def writer(
    database: Database, size: Size, chance: random.Random, done: asyncio.Event
) -> float:
    """Posts one entry after the other; the longest wait of one, in seconds."""
    waits = [0.0]
    while not done.is_set():
        entry = _entry(chance.randrange(10**6), size, chance)
        waits.append(await seconds_of(partial(post_entries, database, [entry])))
    return max(waits)


async def reload(given: argparse.Namespace, folder: Path, found: Figures) -> None:
    print(f"\nPolicies of {given.projects:,} projects", flush=True)
    figures = found.setdefault("reload", {})
    for count in (50, given.projects):
        say(figures, f"match among {count} projects, us", 1e6 * matching(count))
    for name, value in (await reload_stall(given.projects)).items():
        say(figures, name, value)


async def streams(given: argparse.Namespace, folder: Path, found: Figures) -> None:
    print(f"\n{given.streams:,} open streams on one process", flush=True)
    figures = found.setdefault("streams", {})
    for name, value in (await open_streams(given.streams, folder)).items():
        say(figures, name, value)


MEASURES: dict[str, Callable[[argparse.Namespace, Path, Figures], Awaitable[None]]] = {
    "book": book, "reload": reload, "streams": streams,
}  # fmt: skip


async def seconds_of(work: Callable[[], Awaitable[Any]]) -> float:
    begun = time.perf_counter()
    await work()
    return time.perf_counter() - begun


def forget(files: Any) -> None:
    """Have the kernel forget the pages of these files, as far as they are written."""
    for file in files:
        if Path(file).is_file():
            with Path(file).open("rb") as opened:
                os.fsync(opened.fileno())
                os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def say(found: Figures, name: str, value: float) -> None:
    found[name] = value
    print(f"  {name:<58} {value:>12,.3f}", flush=True)


if __name__ == "__main__":
    main()
