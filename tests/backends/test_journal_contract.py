"""What every Journal does, on SQLite and on a real Postgres: nothing lost, nothing twice."""

import asyncio
import dataclasses
import logging
import os
import random
import sqlite3

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import func, make_url, select, text

from gateway.backends import sql_journal
from gateway.backends.database import Database, DatabaseProblem
from gateway.backends.database_problem import DataRefused
from gateway.backends.sql_book import post_entries, spent_in
from gateway.backends.sql_entries import FIGURE_MAX, TEXT_BYTES_MAX, storable, storable_text
from gateway.backends.sql_journal import SqlJournal
from gateway.backends.sql_report import SqlReport
from gateway.backends.tables import entries
from gateway.errors import Unavailable
from gateway.quota.limit import Amounts
from gateway.usage.entry import Entry, Outcome, Source, Tokens
from gateway.usage.report import Query

NOW = 1_800_000_000.0
ACME = (("organization", "acme"),)


def entry(n, **more) -> Entry:
    given = {
        "id": f"req_{n}", "time": NOW + n, "organization": "acme", "project": "demo",
        "key_id": "key_1", "model": "echo", "requests": 1, "cost_nano": 7,
        "tokens": Tokens(input=10, output=3),
    }  # fmt: skip
    return Entry(**(given | more))


def spent_by(*booked) -> Amounts:
    return Amounts(
        requests=sum(e.requests for e in booked),
        input_tokens=sum(e.tokens.input for e in booked),
        output_tokens=sum(e.tokens.output for e in booked),
        cost_nano=sum(e.cost_nano for e in booked),
    )


def using(url, work, *, flush_seconds=0.01, batch_max=100, pending_max=1000, started=True):
    """What `work(journal, database)` returns, with a journal that is drained in the end."""

    async def main():
        database = Database(url, 2)
        journal = SqlJournal(
            database, flush_seconds, batch_max, pending_max, lambda: NOW, os.urandom
        )
        if started:
            await journal.start()
        try:
            return await work(journal, database)
        finally:
            await journal.aclose()
            await database.aclose()

    return asyncio.run(main())


async def stored(database):
    ordered = select(entries.c.id).order_by(entries.c.time, entries.c.id)
    return await database.read(lambda c: list(c.scalars(ordered)))


async def until(reached):
    # A journal tells its state to who asks, so ask.
    while not reached():  # noqa: ASYNC110
        await asyncio.sleep(0.001)


class Faults:
    """Stands between a journal and its database: writes fail as the script says."""

    def __init__(self, database, monkeypatch, *script):
        self.script = list(script)
        self.calls = 0
        self._write = database.post
        monkeypatch.setattr(database, "post", self.write)

    async def write(self, change):
        self.calls += 1
        step = self.script.pop(0) if self.script else "ok"
        if step == "before":
            raise DatabaseProblem("The connection broke before the commit.")
        done = await self._write(change)
        if step == "after":
            raise DatabaseProblem("The connection broke after the commit.")
        return done


def test_every_field_of_an_entry_comes_back(migrated_url):
    full = Entry(
        id="req_1", time=NOW + 0.123456, organization="acme", project="demo", key_id="key_1",
        end_user="ada", model="gpt-4o", served_model="gpt-4o-2024", upstream="openai",
        endpoint="chat", stream=True, status=200, outcome=Outcome.CLIENT_LEFT, code="c",
        requests=1, tokens=Tokens(4, 3, 2, 1), source=Source.ESTIMATED, cost_nano=10**15,
        currency="EUR", duration_ms=1234, first_token_ms=0,
        redactions={"EMAIL_ADDRESS:placeholder": 2}, policy_digest="abcdef",
    )  # fmt: skip
    bare = Entry(id="req_0", time=NOW)

    async def work(journal, database):
        journal.append(full)
        journal.append(bare)
        await journal.flush()
        return [one async for one in SqlReport(database).entries(Query(since=0))]

    assert using(migrated_url, work) == [full, bare]


def test_flush_returns_when_all_that_was_appended_is_committed(migrated_url):
    async def work(journal, database):
        for n in range(250):
            journal.append(entry(n))
        assert journal.state(NOW).pending == 250
        await journal.flush()
        assert journal.state(NOW).pending == 0
        assert len(await stored(database)) == 250

    using(migrated_url, work, flush_seconds=60, batch_max=1000)


def test_entries_are_written_in_batches_and_in_time_without_being_asked(migrated_url, monkeypatch):
    async def work(journal, database):
        faults = Faults(database, monkeypatch)
        for n in range(250):
            journal.append(entry(n))
        await until(lambda: not journal.state(NOW).pending)
        assert faults.calls == 3
        return await stored(database)

    assert len(using(migrated_url, work, batch_max=100)) == 250


def test_a_full_batch_is_not_kept_waiting(migrated_url):
    async def work(journal, _):
        for n in range(10):
            journal.append(entry(n))
        await until(lambda: not journal.state(NOW).pending)

    using(migrated_url, lambda j, d: asyncio.wait_for(work(j, d), 20), flush_seconds=60,
          batch_max=10)  # fmt: skip


def test_closing_writes_what_is_pending(migrated_url):
    async def append(journal, _):
        for n in range(30):
            journal.append(entry(n))

    using(migrated_url, append, flush_seconds=60)
    assert len(using(migrated_url, lambda _, database: stored(database))) == 30


def test_an_entry_is_written_once_however_often_it_is_appended(migrated_url):
    async def work(journal, database):
        journal.append(entry(1))
        journal.append(entry(1, cost_nano=999))
        assert await journal.spent(ACME, NOW) == spent_by(entry(1))
        await journal.flush()
        journal.append(entry(1, cost_nano=999))
        assert await journal.spent(ACME, NOW) == spent_by(entry(1))
        await journal.flush()
        assert await journal.spent(ACME, NOW) == spent_by(entry(1))
        return await stored(database)

    assert using(migrated_url, work) == ["req_1"]


@pytest.mark.parametrize("script", [
    ["before"], ["before", "before", "before"], ["after"], ["after", "before", "after"],
    ["ok", "after", "ok", "before"],
])  # fmt: skip
def test_a_write_that_fails_loses_nothing_and_repeats_nothing(migrated_url, monkeypatch, script):
    async def work(journal, database):
        Faults(database, monkeypatch, *script)
        booked = [entry(n) for n in range(25)]
        for one in booked:
            journal.append(one)
            assert (await journal.spent(ACME, NOW)).requests == one.time - NOW + 1
        await journal.flush()
        assert await journal.spent(ACME, NOW) == spent_by(*booked)
        assert journal.state(NOW).errors == sum(step != "ok" for step in script)
        assert await stored(database) == [one.id for one in booked]

    using(migrated_url, work, batch_max=10)


def test_an_entry_counts_once_whether_pending_in_flight_or_written(migrated_url, monkeypatch):
    async def work(journal, database):
        chance = random.Random(7)
        Faults(database, monkeypatch, *chance.choices(["ok", "before", "after"], k=12))
        booked = []

        async def append():
            for n in range(120):
                booked.append(entry(n))
                journal.append(booked[-1])
                if n % 3 == 0:
                    await asyncio.sleep(0)

        appending = asyncio.create_task(append())
        while not appending.done() or journal.state(NOW).pending:
            before = len(booked)
            seen = await journal.spent(ACME, NOW)
            assert before <= seen.requests <= len(booked)
            assert seen.cost_nano == 7 * seen.requests
        return await journal.spent(ACME, NOW) == spent_by(*booked)

    assert using(migrated_url, work, batch_max=9)


def test_what_was_spent_before_a_restart_is_still_spent(migrated_url):
    booked = [entry(n) for n in range(5)]

    async def append(journal, _):
        for one in booked:
            journal.append(one)

    using(migrated_url, append)
    assert using(migrated_url, lambda j, _: j.spent(ACME, NOW)) == spent_by(*booked)


SUBJECTS = [
    ACME,
    (("organization", "acme"), ("project", "demo")),
    (("organization", "acme"), ("project", "demo"), ("key_id", "key_2")),
    (("organization", "acme"), ("end_user", "ada")),
    (("organization", "acme"), ("model", "gpt-4o")),
    (("organization", "acme"), ("project", "demo"), ("end_user", "ada"), ("model", "gpt-4o")),
    (("organization", "nobody"),),
    (),
]


@pytest.mark.parametrize("written", [False, True])
def test_a_subject_spent_what_its_entries_say_since_the_moment(migrated_url, written):
    chance = random.Random(3)
    booked = [
        entry(
            n,
            organization=chance.choice(["acme", "umbrella"]),
            project=chance.choice(["demo", "batch"]),
            key_id=chance.choice(["key_1", "key_2"]),
            end_user=chance.choice(["", "ada"]),
            model=chance.choice(["echo", "gpt-4o"]),
            cost_nano=chance.randrange(10**14),
        )
        for n in range(60)
    ]

    async def work(journal, _):
        for one in booked:
            journal.append(one)
        if written:
            await journal.flush()
        for subject in SUBJECTS:
            for since in (0.0, NOW + 30, NOW + 30.000001, NOW + 59, NOW + 60):
                mine = [
                    one for one in booked
                    if one.time >= since and all(getattr(one, k) == v for k, v in subject)
                ]  # fmt: skip
                assert await journal.spent(subject, since) == spent_by(*mine)

    using(migrated_url, work, flush_seconds=60)


def test_the_state_tells_how_many_wait_how_long_and_whether_there_is_room(migrated_url):
    async def work(journal, _):
        assert journal.state(NOW + 5).lag_seconds == 0
        for n in range(3):
            assert not journal.state(NOW).full
            journal.append(entry(n))
        state = journal.state(NOW + 5)
        assert (state.pending, state.lag_seconds, state.full) == (3, 5.0, True)
        await journal.flush()
        state = journal.state(NOW + 5)
        assert (state.pending, state.lag_seconds, state.full) == (0, 0.0, False)

    using(migrated_url, work, flush_seconds=60, pending_max=3)


def test_a_full_journal_still_takes_what_was_begun(migrated_url):
    async def work(journal, database):
        for n in range(10):
            journal.append(entry(n))
        await journal.flush()
        return len(await stored(database))

    assert using(migrated_url, work, flush_seconds=60, pending_max=3) == 10


def test_an_entry_that_the_database_refuses_does_not_hold_up_the_others(migrated_url, monkeypatch):
    poisoned = [entry(n, code="poison") for n in (17, 63)]
    apply = sql_journal.apply

    def refusing(connection, change, owner):
        if any(one.code == "poison" for one in change.entries):
            raise DataRefused("DataError")
        return apply(connection, change, owner)

    monkeypatch.setattr(sql_journal, "apply", refusing)

    async def work(journal, database):
        booked = [entry(n) for n in range(100) if n not in (17, 63)] + poisoned
        for one in booked:
            journal.append(one)
        await journal.flush()
        journal.append(poisoned[0])
        assert len(await stored(database)) == 98
        assert list(journal.set_aside) == poisoned
        state = journal.state(NOW)
        assert (state.pending, state.errors) == (0, 2)
        assert await journal.spent(ACME, NOW) == spent_by(*booked)

    using(migrated_url, work)


HOSTILE = st.text(st.characters(codec=None), max_size=600)
FIGURES = st.integers(-(2**70), 2**70)


@given(data=st.data(), texts=st.lists(HOSTILE, min_size=4, max_size=4))
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_whatever_a_caller_or_an_upstream_says_can_be_booked_and_found(migrated_url, data, texts):
    given = entry(
        0, id="req_" + str(hash(tuple(texts)) ^ data.draw(FIGURES)), end_user=texts[0],
        model=texts[1], served_model=texts[2] * 9, code=texts[3],
        tokens=Tokens(*(data.draw(FIGURES) for _ in range(4))), cost_nano=data.draw(FIGURES),
        duration_ms=data.draw(FIGURES), status=data.draw(FIGURES),
        time=data.draw(st.floats()), first_token_ms=data.draw(st.none() | FIGURES),
        redactions={texts[0]: data.draw(FIGURES)},
    )  # fmt: skip
    subject = (("end_user", texts[0]), ("model", texts[1]))

    async def work(journal, database):
        before = await journal.spent(subject, 0.0)
        journal.append(given)
        pending = await journal.spent(subject, 0.0)
        await journal.flush()
        assert journal.set_aside == ()
        assert await journal.spent(subject, 0.0) == pending
        assert pending.requests == before.requests + 1
        await database.write(lambda c: c.execute(entries.delete()))

    using(migrated_url, work)


@given(HOSTILE, HOSTILE)
def test_a_stored_text_is_bounded_and_long_texts_stay_apart(one, other):
    assert len(storable_text(one).encode()) <= TEXT_BYTES_MAX
    assert storable_text(storable_text(one)) == storable_text(one)
    long, longer = "é" * 600 + one, "é" * 600 + other
    assert (storable_text(long) == storable_text(longer)) == (one == other)


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=125))
def test_an_ordinary_entry_is_stored_as_it_is(text):
    plain = entry(1, end_user=text)
    assert storable(plain) is plain
    assert storable(entry(1, cost_nano=2**80)).cost_nano == FIGURE_MAX


def test_a_locked_sqlite_file_delays_and_loses_nothing(sqlite_url, monkeypatch):
    monkeypatch.setattr("gateway.backends.database.SQLITE_BUSY_SECONDS", 0.01)

    async def work(journal, database):
        file = make_url(sqlite_url).database
        other = sqlite3.connect(file, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for n in range(20):
            journal.append(entry(n))
        await until(lambda: journal.state(NOW).errors >= 2)
        assert (await journal.spent(ACME, NOW)).requests == 20  # WAL: reading goes on
        other.execute("COMMIT")
        other.close()
        await journal.flush()
        return len(await stored(database))

    assert using(sqlite_url, work) == 20


def test_a_postgres_that_is_stopped_and_started_delays_and_loses_nothing(postgres, pg_url):
    if postgres.folder is None:
        pytest.skip("needs a server of our own to stop")

    async def work(journal, database):
        journal.append(entry(0))
        await journal.flush()
        postgres.stop()
        try:
            for n in range(1, 20):
                journal.append(entry(n))
            await until(lambda: journal.state(NOW).errors >= 2)
            with pytest.raises(Unavailable) as caught:
                await journal.spent(ACME, NOW)
            assert caught.value.code == "database_unavailable"
        finally:
            postgres.start()
        await journal.flush()
        assert await journal.spent(ACME, NOW) == spent_by(*(entry(n) for n in range(20)))
        return await stored(database)

    assert using(pg_url, work) == [f"req_{n}" for n in range(20)]


def test_connections_cut_in_the_middle_of_writing_lose_nothing(postgres, pg_url):
    name = make_url(pg_url).database
    cut = f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'"

    async def work(journal, database):
        for n in range(600):
            journal.append(entry(n))
            if n % 100 == 50:
                await asyncio.sleep(0.003)
                await asyncio.to_thread(postgres.run, cut)
        await journal.flush()
        return await journal.spent(ACME, NOW)

    assert using(pg_url, work, batch_max=20) == spent_by(*(entry(n) for n in range(600)))


def test_closing_during_an_outage_gives_back_what_could_not_be_written(migrated_url, monkeypatch):
    booked = tuple(entry(n) for n in range(5))

    async def work(journal, database):
        Faults(database, monkeypatch, *["before"] * 1000)
        for one in booked:
            journal.append(one)
        first = await journal.aclose(grace_seconds=0.05)
        return first, await journal.aclose()

    assert using(migrated_url, work) == (booked, booked)


def test_closing_an_sqlite_file_that_another_process_locks_gives_all_back(sqlite_url, monkeypatch):
    monkeypatch.setattr("gateway.backends.database.SQLITE_BUSY_SECONDS", 0.01)
    booked = tuple(entry(n) for n in range(20))

    async def work(journal, database):
        other = sqlite3.connect(make_url(sqlite_url).database, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        for one in booked:
            journal.append(one)
        unwritten = await journal.aclose(grace_seconds=0.2)
        other.close()
        return unwritten, await stored(database)

    assert using(sqlite_url, work) == (booked, [])


def test_closing_gives_back_nothing_when_all_is_written(migrated_url):
    async def work(journal, database):
        for n in range(20):
            journal.append(entry(n))
        return await journal.aclose(), len(await stored(database))

    assert using(migrated_url, work, flush_seconds=60) == ((), 20)


def test_closing_gives_back_what_the_database_refused(migrated_url, monkeypatch):
    def refuse(connection, change, owner):
        raise DataRefused("DataError")

    monkeypatch.setattr(sql_journal, "apply", refuse)

    async def work(journal, _):
        journal.append(entry(1))
        return await journal.aclose()

    assert using(migrated_url, work) == (entry(1),)


def test_a_journal_that_cannot_write_any_more_takes_no_new_requests_and_gives_all_back(
    sqlite_url, monkeypatch, caplog
):
    async def broken(change):
        raise RuntimeError("a fault of our own")

    async def work(journal, database):
        monkeypatch.setattr(database, "post", broken)
        journal.append(entry(1))
        await until(lambda: journal.state(NOW).full)
        assert (await journal.spent(ACME, NOW)) == spent_by(entry(1))
        return await journal.aclose(grace_seconds=0.01)

    with caplog.at_level(logging.ERROR):
        assert using(sqlite_url, work) == (entry(1),)
    assert "a fault of our own" in caplog.text


def test_what_others_post_into_the_same_book_is_spent_too(migrated_url):
    async def work(journal, database):
        for n in range(50):
            journal.append(entry(n))
        others = [entry(n + 40) for n in range(50)]  # ten of them are the same
        _, refused = await asyncio.gather(journal.flush(), post_entries(database, others))
        assert refused == []
        counted = (
            await journal.spent(ACME, NOW),
            await spent_in(database, ACME, NOW),
        )
        total = await database.read(lambda c: c.scalar(select(func.count()).select_from(entries)))
        return counted, total

    counted, total = using(migrated_url, work)
    assert total == 90
    assert counted == (spent_by(*(entry(n) for n in range(90))),) * 2


def test_an_entry_is_no_place_for_anything_else(migrated_url):
    async def work(journal, _):
        with pytest.raises(TypeError):
            journal.append(dataclasses.make_dataclass("Other", ["id"])("req_1"))

    using(migrated_url, work)


def test_what_a_subject_spent_is_found_by_an_index(migrated_url):
    plans = {
        "organization = 'a' AND time >= 1": "organization_time",
        "organization = 'a' AND project = 'b' AND time >= 1": "organization_project_time",
        "key_id = 'k' AND time >= 1": "key_id_time",
        "end_user = 'u' AND time >= 1": "end_user_time",
        "time >= 5 ORDER BY time DESC LIMIT 1": "time",
    }

    def explain(connection):
        if connection.dialect.name == "postgresql":
            connection.execute(text("SET LOCAL enable_seqscan = off"))
            words, sign = "EXPLAIN", "Index Cond: "  # of which index is up to its statistics
        else:
            words, sign = "EXPLAIN QUERY PLAN", "USING INDEX ix_entries_"
        for condition, index in plans.items():
            query = f"{words} SELECT requests FROM entries WHERE {condition}"
            told = str(connection.execute(text(query)).all())
            assert sign + ("" if words == "EXPLAIN" else index) in told

    using(migrated_url, lambda _, database: database.read(explain))
