"""Checks of what accounts are kept in: the database, its schema and its clock; Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.redis_client import ERRORS, RedisProblem, connect, look, problem_of, time_of
from gateway.backends.schema import SchemaState
from gateway.cli.database_wait import NEWER
from gateway.cli.diagnosis import Finding, Patient, State, skew


def database(patient: Patient) -> Iterable[Finding]:
    try:
        return asyncio.run(_database(patient))
    except DatabaseProblem as problem:
        return [Finding("database", State.WRONG, str(problem), "See what it says, and try again.")]


async def _database(patient: Patient) -> list[Finding]:
    store = Database(patient.settings.database_url, 1)
    try:
        state = await store.check()
        if state is SchemaState.EMPTY and store.is_sqlite:
            return [Finding("database", State.NOTE, "there is no file yet; the start makes it")]
        if state is SchemaState.BEHIND and store.is_sqlite:
            found = "the file has the tables of an older version; the start migrates it"
            return [Finding("database", State.NOTE, found, "Make a copy of the file before.")]
        if state in (SchemaState.EMPTY, SchemaState.BEHIND):
            what = "no tables" if state is SchemaState.EMPTY else "the tables of an older version"
            do = "Run `gateway migrate`; a gateway that starts waits for it."
            return [Finding("database", State.WRONG, f"the database has {what}", do)]
        if state is SchemaState.NEWER:
            return [Finding("database", State.WARNING, NEWER, "Install the newer version.")]
        if trouble := await store.trouble():
            return [Finding("database", State.WRONG, trouble, "Keys and usage are written there.")]
        kind = "SQLite" if store.is_sqlite else "Postgres"
        good = Finding("database", State.OK, f"{kind} answers, with the tables of this version")
        asked_at = patient.now()
        theirs = await store.time()
        return [good, *skew("database", theirs, asked_at, patient.now(), "the database")]
    finally:
        await store.aclose()


def redis(patient: Patient) -> Iterable[Finding]:
    url = patient.settings.redis_url
    if url is None:
        what = "not set: one process keeps accounts by itself"
        return [Finding("redis", State.OK, what)]
    try:
        return asyncio.run(_redis(patient, url))
    except RedisProblem as problem:
        do = "Start it, or correct GATEWAY_REDIS_URL."
        return [Finding("redis", State.WRONG, str(problem), do)]


async def _redis(patient: Patient, url: str) -> list[Finding]:
    timeout = min(patient.settings.redis_timeout_seconds, patient.seconds)
    client = await connect(url, timeout, 2)
    try:
        trouble, warning = await look(client)
        asked_at = patient.now()
        theirs = await time_of(client)
    except ERRORS as error:
        return [Finding("redis", State.WRONG, str(problem_of(error, url)), "Try again.")]
    finally:
        await client.aclose()
    found = []
    if trouble:
        found.append(Finding("redis", State.WRONG, trouble, "No gateway starts with it."))
    if warning:
        do = "CONFIG SET does so at once, and its configuration file for the next start."
        found.append(Finding("redis", State.WARNING, warning, do))
    found += skew("redis", theirs, asked_at, patient.now(), "Redis")
    return found or [Finding("redis", State.OK, "answers, keeps a log, and throws nothing away")]
