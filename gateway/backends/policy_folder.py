"""Policy files from a folder, or one file alone, and word of their changes."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path

from watchfiles import awatch

from gateway.beside import in_own_thread
from gateway.policy.document import BYTES_MAX
from gateway.policy.parse import FILES_MAX
from gateway.policy.policy import Problem

SUFFIXES = (".yaml", ".yml")
LOOK_MS = 5_000  # for what no event tells: a symlink's far end, a folder that comes back
DEBOUNCE_MS = 500
FOLDER_BYTES_MAX = 32 * 2**20  # of all files together; each may have BYTES_MAX

Folder = tuple[dict[str, bytes], tuple[Problem, ...]]


def read_folder(path: str | Path) -> Folder:
    """The folder's *.yaml and *.yml by name, subfolders and hidden files left out; or no file at
    all, and why. Half of a policy would be another policy, so one unreadable file is enough.

    Symlinks are followed. Of a file that is too large only so much is read that it shows. What is
    no regular file is not opened: a pipe would be waited for, and a device may have no end."""
    files: dict[str, bytes] = {}
    left = FOLDER_BYTES_MAX
    try:
        for file in _names(Path(path)):
            files[file.name] = _content(file)
            left -= len(files[file.name])
            if left < 0:
                why = f"the policy files are together over {FOLDER_BYTES_MAX} bytes; write less"
                return {}, (Problem(str(path), 0, why),)
    except OSError as error:
        name = str(error.filename or path)
        reason = error.strerror or "it cannot be read"
        return {}, (Problem(name, 0, f"{reason}; name a folder of policy files, readable to us"),)
    return files, ()


async def watch(
    path: str | Path, stop_event: asyncio.Event | None = None, seen: Folder | None = None
) -> AsyncGenerator[Folder, None]:
    """Yields what `read_folder` gives after each change of it, until `stop_event` is set.

    `seen` is what the caller has read; without it, the first look. The directory is watched, not
    its files, as editors and ConfigMaps replace files. Events only hurry a look at the contents:
    nothing is told twice, and what makes no event is seen within LOOK_MS. A folder that does not
    exist yet is waited for."""
    stop = stop_event or asyncio.Event()

    def look() -> Folder:
        return read_folder(path)

    known = seen if seen is not None else await in_own_thread(look)
    while not stop.is_set():
        async with aclosing(_hints(Path(path), stop)) as hints:
            async for _ in hints:
                found = await in_own_thread(look)
                if found != known:
                    known = found
                    yield known


async def _hints(path: Path, stop: asyncio.Event) -> AsyncGenerator[None, None]:
    """A moment to look: the directory changed, or it is time. Ends where it cannot be watched."""
    changes = awatch(
        await in_own_thread(lambda: _directory(path)),
        watch_filter=None,
        recursive=False,
        stop_event=stop,
        debounce=DEBOUNCE_MS,
        rust_timeout=LOOK_MS,
        yield_on_timeout=True,
    )
    try:
        async with aclosing(changes):
            async for _ in changes:
                yield
    except (OSError, RuntimeError):  # not there (any more), or no watches left: look by the clock
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), LOOK_MS / 1000)
        yield


def _directory(path: Path) -> Path:
    return path.parent if path.is_file() else path


def _names(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    found = sorted(
        file
        for file in path.iterdir()
        if file.suffix in SUFFIXES and not file.name.startswith(".") and not file.is_dir()
    )
    return found[: FILES_MAX + 1]


def _content(file: Path) -> bytes:
    _check_regular(file, file.stat())  # first, as to open a device may already do something
    with open(file, "rb", opener=_at_once) as stream:
        _check_regular(file, os.fstat(stream.fileno()))  # another file may have come meanwhile
        return stream.read(BYTES_MAX + 1)


def _check_regular(file: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, "This is a pipe, a device or no file at all", str(file))


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)
