"""The tables, as values. `migrations/` builds them; a test holds both together.

Times are whole microseconds since 1970 UTC: exact on every database, and in order as numbers.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

from gateway.usage.rollup import SUMS, VIEWS, View

MICROSECONDS = 1_000_000

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

keys = Table(
    "keys",
    metadata,
    Column("id", String, primary_key=True),
    Column("organization", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("models", JSON(none_as_null=True)),  # a list of names; NULL: all
    Column("endpoints", JSON(none_as_null=True)),  # a list of names; NULL: all
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Column("revoked_at", BigInteger),
    Column("metadata", JSON, nullable=False),
    Index(None, "organization", "project"),
)

key_secrets = Table(
    "key_secrets",
    metadata,
    Column("prefix", String, primary_key=True),
    Column("digest", LargeBinary, nullable=False),  # 32 bytes; the text itself is nowhere
    Column("key_id", ForeignKey("keys.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),  # end of the grace period after a rotation
)

entries = Table(
    "entries",
    metadata,
    # A second write of the same entry does nothing. On Postgres there are partitions by it, in the
    # order of bytes (sql_partitions.py).
    Column("id", String().with_variant(String(collation="C"), "postgresql"), primary_key=True),
    Column("time", BigInteger, nullable=False),
    Column("organization", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("end_user", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("served_model", Text, nullable=False),
    Column("upstream", Text, nullable=False),
    Column("endpoint", Text, nullable=False),
    Column("stream", Boolean, nullable=False),
    Column("status", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("code", Text, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("input_tokens", BigInteger, nullable=False),
    Column("cached_input_tokens", BigInteger, nullable=False),
    Column("output_tokens", BigInteger, nullable=False),
    Column("reasoning_tokens", BigInteger, nullable=False),
    Column("audio_input_tokens", BigInteger, nullable=False, server_default="0"),
    Column("audio_output_tokens", BigInteger, nullable=False, server_default="0"),
    Column("source", Text, nullable=False),
    Column("cost_nano", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("duration_ms", BigInteger, nullable=False),
    Column("first_token_ms", BigInteger),
    Column("redactions", JSON, nullable=False),
    Column("policy_digest", Text, nullable=False),
    Column("corrects", Text, nullable=False, server_default=""),
    # What a subject spent since a moment is one range of one of these; `time` serves reports.
    Index(None, "time"),
    Index(None, "organization", "time"),
    Index(None, "organization", "project", "time"),
    Index(None, "key_id", "time"),
    Index(None, "end_user", "time"),
)

reservations = Table(
    "reservations",
    metadata,
    Column("id", String, primary_key=True),
    Column("expires_at", BigInteger, nullable=False),
    Column("entry", Text, nullable=False),  # JSON: what is posted should nobody come back
)
"""Open reservations of the embedded ledger: a row goes in the transaction that posts its entry."""

grants = Table(
    "grants",
    metadata,
    Column("id", String, primary_key=True),
    Column("limit", Text, nullable=False),  # its name in the policy
    Column("organization", Text, nullable=False),
    Column("project", Text, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("end_user", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),  # in the measure's unit; negative takes back
    Column("starts_at", BigInteger, nullable=False),
    Column("ends_at", BigInteger),  # NULL: never
    Column("approved_by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger),  # taken back before its end
    Column("ended_by", Text),
    Index(None, "organization"),
)

state = Table(
    "state",
    metadata,
    Column("name", String, primary_key=True),
    Column("value", Text, nullable=False),
)
"""Few rows of one value each: `access` and `book` (generations, whole numbers), `owner`, the
embedded ledger that may write reservations, and `entries_from` (microseconds): what is older was
pruned."""


def _rollup(view: View) -> Table:
    """The cells of a view."""
    fields = [Column(name, entries.c[name].type, primary_key=True) for name in view.fields]
    return Table(
        f"rollup_{view.name}",
        metadata,
        Column("span", String, primary_key=True),
        Column("start", BigInteger, primary_key=True),
        *fields,
        *(Column(name, BigInteger, nullable=False) for name in SUMS),
        sqlite_with_rowid=False,
    )


rollups = {view.name: _rollup(view) for view in VIEWS}
"""Sums of `entries` by view (usage/rollup.py), moved in the transaction that inserts them."""


def micros(seconds: float) -> int:
    """Unix seconds as the tables hold them."""
    return round(seconds * MICROSECONDS)


def seconds(micros: int) -> float:
    return micros / MICROSECONDS
