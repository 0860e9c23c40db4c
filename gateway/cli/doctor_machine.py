"""Checks of the machine: files and folders, room on the disk, open files, addresses, the clock."""

from __future__ import annotations

import ipaddress
import os
import resource
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gateway.backends.database import Database
from gateway.backends.database_problem import DatabaseProblem
from gateway.backends.pepper_file import PepperProblem, load_pepper
from gateway.cli.diagnosis import Finding, Patient, State
from gateway.settings import PREFIX

FREE_WARNING_BYTES = 2 * 2**30
FREE_WRONG_BYTES = 200 * 2**20
FILES_BESIDES = 100  # logs, libraries, the operations port
OTHERS_MAY = stat.S_IRWXG | stat.S_IRWXO


def data(patient: Patient) -> Iterator[Finding]:
    """The pepper, and the folders that are written to. Makes nothing."""
    settings, file = patient.settings, Path(patient.settings.pepper_file)
    is_made = settings.database_url.startswith("sqlite:") and not file.exists()
    if settings.pepper is None and is_made:
        yield Finding("data", State.NOTE, f"there is no pepper yet; the start makes {file}")
    else:
        yield _pepper(patient, file)
    for folder in _folders(patient):
        there = _existing(folder)
        if not os.access(there, os.W_OK | os.X_OK):
            do = f"Let the user {os.getuid()} write to it."
            yield Finding("data", State.WRONG, f"the folder {there} cannot be written to", do)
        else:
            yield Finding("data", State.OK, f"the folder {folder} can be written to")


def _pepper(patient: Patient, file: Path) -> Finding:
    try:
        load_pepper(patient.settings)
    except PepperProblem as problem:
        return Finding("data", State.WRONG, str(problem), "Keys cannot be checked without it.")
    if patient.settings.pepper is not None:
        return Finding("data", State.OK, f"the pepper is set in {PREFIX}PEPPER")
    if file.stat().st_mode & OTHERS_MAY:
        do = f"chmod 600 {file}"
        return Finding("data", State.WARNING, f"others may read the pepper file {file}", do)
    return Finding("data", State.OK, f"the pepper file {file} is its owner's alone")


def _folders(patient: Patient) -> list[Path]:
    folders = [Path(patient.settings.simulator_log).parent]
    if file := _database_file(patient):
        folders.insert(0, file.parent)
    return list(dict.fromkeys(folders))


def _database_file(patient: Patient) -> Path | None:
    try:
        return Database(patient.settings.database_url, 1).file
    except DatabaseProblem:
        return None  # the check of the database says why


def _existing(folder: Path) -> Path:
    """The folder, or the one that it would be made in."""
    return next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)


def disk(patient: Patient) -> Iterator[Finding]:
    seen = set()
    for folder in map(_existing, _folders(patient)):
        device = folder.stat().st_dev
        if device in seen:
            continue
        seen.add(device)
        free = shutil.disk_usage(folder).free
        found = f"{free / 2**30:.1f} GiB are free at {folder}"
        if free >= FREE_WARNING_BYTES:
            yield Finding("disk", State.OK, found)
            continue
        state = State.WRONG if free < FREE_WRONG_BYTES else State.WARNING
        do = f"Make room, or keep entries for less long ({PREFIX}ENTRIES_KEPT_DAYS)."
        yield Finding("disk", state, found, do)


def open_files(patient: Patient) -> Iterable[Finding]:
    """Against the hard limit: the start raises the soft one by itself."""
    settings = patient.settings
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = (
        settings.connections_max
        + settings.upstream_connections_max
        + (settings.redis_connections if settings.redis_url else 0)
        + settings.database_threads
        + FILES_BESIDES
    )
    found = f"{most} files may be open, and {needed} can be needed at once"
    if most == resource.RLIM_INFINITY or most >= needed:
        return [Finding("open files", State.OK, found)]
    do = (
        f"Raise it with `ulimit -Hn {needed}` (LimitNOFILE of systemd), or "
        f"lower {PREFIX}CONNECTIONS_MAX and {PREFIX}UPSTREAM_CONNECTIONS_MAX."
    )
    return [Finding("open files", State.WARNING, found, do)]


def exposure(patient: Patient) -> Iterable[Finding]:
    """Of the operations port, which asks for no key."""
    host = patient.settings.ops_host
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        is_inner = host == "localhost"
    else:
        is_inner = address.is_loopback or (address.is_private and not address.is_unspecified)
    if is_inner:
        return [Finding("exposure", State.OK, f"the operations port is on {host}")]
    do = (
        f"Set {PREFIX}OPS_HOST to an inner address, or let a NetworkPolicy or firewall pass probes "
        "and Prometheus only: metrics tell names of projects and what they spend."
    )
    return [
        Finding("exposure", State.NOTE, f"the operations port, which has no key, is on {host}", do)
    ]


def clock(patient: Patient) -> Iterable[Finding]:
    """Against the only time that is known without asking anybody: that of our own files."""
    written = Path(__file__).stat().st_mtime
    if patient.now() < written:
        found = "the clock is behind the time at which this program was installed"
        return [Finding("clock", State.WRONG, found, "Let NTP set it.")]
    return [Finding("clock", State.OK, "the clock is past the time of this program's files")]
