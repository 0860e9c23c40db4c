"""What a driver's error means, as a sentence for the person who runs the gateway."""

from __future__ import annotations

import sqlite3

from sqlalchemy import exc
from sqlalchemy.engine import URL

from gateway.errors import Unavailable


class DatabaseProblem(Exception):
    """The database cannot be used; the message says why and what would help. Trying again later
    may succeed."""


class DataRefused(Exception):
    """The database works but will not store this value; trying again cannot succeed. Its message
    is a name of the kind of error, never the value."""


def unavailable() -> Unavailable:
    """What a caller is told in the place of a DatabaseProblem, which names hosts and files: it may
    be anybody, as keys cannot be looked up."""
    return Unavailable(
        "The database cannot be asked now; try again soon.", code="database_unavailable"
    )


_SQLITE = {
    "readonly database": "is read-only; let this user write to the file and to its folder",
    "not a database": "is not an SQLite database; name another file in GATEWAY_DATABASE_URL",
    "unable to open": "cannot be opened; check that its folder exists and that this user may "
    "write there",
    "locked": "is locked by another process; wait until it is done, or stop it",
    "disk is full": "cannot grow, as the disk is full; make room",
    "malformed": "is damaged; restore it from a backup",
    "no such table": "lacks a table; run `gateway migrate`",
    "no such column": "lacks a column; run `gateway migrate`",
    "already exists": "has tables of another program; name another file in GATEWAY_DATABASE_URL",
}

_POSTGRES = {
    "password authentication failed": "refuses this user and password; correct them in "
    "GATEWAY_DATABASE_URL",
    "no password supplied": "wants a password; add it to GATEWAY_DATABASE_URL",
    "no pg_hba.conf entry": "does not let this user in from here; see its pg_hba.conf",
    "name or service not known": "has a host name that cannot be resolved; correct it in "
    "GATEWAY_DATABASE_URL",
    "failed to resolve host": "has a host name that cannot be resolved; correct it in "
    "GATEWAY_DATABASE_URL",
    "connection refused": "cannot be reached: nothing listens there; start it, or correct "
    "GATEWAY_DATABASE_URL",
    "no such file or directory": "cannot be reached: there is no such socket; start it, or correct "
    "GATEWAY_DATABASE_URL",
    "timeout expired": "cannot be reached in time; check the network",
    "connection timeout": "cannot be reached in time; check the network",
    "does not exist": "does not exist there, or its user does not; create it, or correct "
    "GATEWAY_DATABASE_URL",
    "not currently accepting connections": "does not accept connections now",
    "too many clients": "has no connection left; raise its max_connections, or lower "
    "GATEWAY_DATABASE_THREADS",
    "remaining connection slots": "has no connection left; raise its max_connections, or lower "
    "GATEWAY_DATABASE_THREADS",
    "starting up": "is starting up; try again soon",
    "shutting down": "is shutting down",
}

_SQLSTATES = {
    "42P01": "lacks a table; run `gateway migrate`",
    "42703": "lacks a column; run `gateway migrate`",
    "42P07": "has tables of another program; name another database in GATEWAY_DATABASE_URL",
    "42501": "does not permit this user to do that; grant it the rights on its schema",
    "25006": "is read-only; name the primary in GATEWAY_DATABASE_URL",
    "55P03": "is locked by another process, perhaps another migration; try again when it is done",
    "57014": "took too long and was stopped",
    "57P01": "was shut down",
    "53100": "cannot grow, as the disk is full; make room",
}
_REFUSING_CLASSES = ("22", "23", "54")  # data exception, constraint, a limit of one row


def is_refusal(error: Exception) -> bool:
    """Whether it is the data that cannot be stored, not the database that cannot be used."""
    if isinstance(error, exc.DBAPIError):
        state = getattr(error.orig, "sqlstate", None) or ""
        if state:
            return state.startswith(_REFUSING_CLASSES)
        return isinstance(error, exc.DataError | exc.IntegrityError)
    if isinstance(error, sqlite3.Error):
        return isinstance(error, sqlite3.DataError | sqlite3.IntegrityError)
    return isinstance(error, exc.StatementError | OverflowError | UnicodeError)


def explain(error: Exception, url: URL) -> str:
    """One sentence that names the database and holds no password."""
    original = error.orig if isinstance(error, exc.DBAPIError) else error
    told = " ".join(str(original).split())
    if url.password:
        told = told.replace(url.password, "***")
    if url.get_backend_name() == "sqlite":
        where, known = f"The database file {url.database}", _SQLITE
    else:
        where, known = f"The database {url.database} at {_address(url)}", _POSTGRES
    state = getattr(original, "sqlstate", None)
    if state in _SQLSTATES:
        return f"{where} {_SQLSTATES[state]}."
    for sign, meaning in known.items():
        if sign in told.lower():
            return f"{where} {meaning}."
    return f"{where} cannot be used: {told[:300]}"


def _address(url: URL) -> str:
    host = url.host or url.query.get("host") or "the local socket"
    shown = host if isinstance(host, str) else ", ".join(host)
    return f"{shown}:{url.port}" if url.port else shown
