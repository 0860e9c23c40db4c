"""Names of what lies in Redis. All that one script touches has one hash tag, the organization's,
so that it lies in one slot of a cluster."""

from __future__ import annotations

ORGANIZATIONS = "gw:organizations"
"""The set of all organizations that have anything here: where posters look for streams."""
GENERATION = "gw:generation"
"""Of keys and grants, where no organization is meant; each has its own copy."""
RECOUNTED = "gw:recounted"
"""The generation of the book for which counters were last read again."""
PROBE = "gw:probe"
"""Is written to see whether anything can be."""
NOBODY = "-"
"""Stands for the organization of entries that have none; no organization can be called that."""
GROUP = "journal"
"""The consumer group that posts entries to the database."""


def key_of(organization: str, *parts: str) -> str:
    """`gw:{acme}:part:part`. Names of organizations have no braces (policy/format.py)."""
    return ":".join((f"gw:{{{organization or NOBODY}}}", *parts))


def stream_of(organization: str) -> str:
    """Settled entries that are not in the database yet: fields `entry` (JSON) and `time` (whole
    microseconds; it is the entry's true time)."""
    return key_of(organization, "entries")


def set_aside_of(organization: str) -> str:
    """Entries that the database refused."""
    return key_of(organization, "set_aside")
