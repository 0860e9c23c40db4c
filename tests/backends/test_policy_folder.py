"""Policy files from a folder, and word of their changes: events, and looks where none come."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path
from typing import TypeVar

import pytest

from gateway.backends import policy_folder
from gateway.backends.policy_folder import read_folder, watch
from gateway.beside import in_own_thread
from gateway.policy.document import BYTES_MAX

T = TypeVar("T")


def test_yaml_files_are_read_by_name(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_bytes(b"b")
    (tmp_path / "a.yaml").write_bytes(b"\xff\x00")
    assert read_folder(tmp_path) == ({"a.yaml": b"\xff\x00", "b.yml": b"b"}, ())
    assert read_folder(str(tmp_path)) == read_folder(tmp_path)


def test_subfolders_hidden_files_and_other_files_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "c.yaml").write_bytes(b"c")
    (tmp_path / "folder.yaml").mkdir()
    for name in (".a.yaml.swp", ".hidden.yaml", "schema.json", "a.yaml~", "README.md"):
        (tmp_path / name).write_bytes(b"x")
    assert read_folder(tmp_path) == ({}, ())


def test_one_file_can_be_all(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a")
    (tmp_path / "b.yaml").write_bytes(b"b")
    assert read_folder(tmp_path / "a.yaml") == ({"a.yaml": b"a"}, ())


def test_a_missing_folder_is_a_problem(tmp_path: Path) -> None:
    files, (problem,) = read_folder(tmp_path / "nowhere")
    assert files == {}
    assert problem.file == str(tmp_path / "nowhere")
    assert problem.message.startswith("No such file or directory")


def test_one_file_that_cannot_be_read_is_a_problem_and_no_file_is_given(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a")
    (tmp_path / "b.yaml").symlink_to(tmp_path / "gone.yaml")
    files, (problem,) = read_folder(tmp_path)
    assert files == {}
    assert problem.file == str(tmp_path / "b.yaml")


def test_a_huge_file_is_read_only_so_far_that_it_shows(tmp_path: Path) -> None:
    with (tmp_path / "a.yaml").open("wb") as file:
        file.truncate(BYTES_MAX * 100)
    files, _ = read_folder(tmp_path)
    assert len(files["a.yaml"]) == BYTES_MAX + 1


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [os.mkfifo, device])
def test_what_is_no_regular_file_is_a_problem_and_is_not_waited_for(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a")
    make(tmp_path / "b.yaml")
    files, (problem,) = within(10, lambda: read_folder(tmp_path))
    assert files == {}
    assert problem.file == str(tmp_path / "b.yaml")
    assert problem.message.startswith("This is a pipe, a device or no file at all")


def test_a_pipe_that_comes_instead_of_a_file_meanwhile_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.yaml").write_bytes(b"a")
    check = policy_folder._check_regular

    def swapped(file: Path, found: os.stat_result) -> None:
        check(file, found)
        file.unlink(missing_ok=True)
        os.mkfifo(file)

    monkeypatch.setattr(policy_folder, "_check_regular", swapped)
    files, (problem,) = within(10, lambda: read_folder(tmp_path))
    assert (files, problem.file) == ({}, str(tmp_path / "a.yaml"))


def within(seconds: float, work: Callable[[], T]) -> T:
    """Fails where it takes longer; the thread is left behind then."""

    async def run() -> T:
        return await asyncio.wait_for(in_own_thread(work), seconds)

    return asyncio.run(run())


def test_files_that_are_together_too_large_are_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "FOLDER_BYTES_MAX", 10)
    for name in ("a.yaml", "b.yaml"):
        (tmp_path / name).write_bytes(b"12345")
    assert len(read_folder(tmp_path)[0]) == 2
    (tmp_path / "c.yaml").write_bytes(b"1")
    files, (problem,) = read_folder(tmp_path)
    assert (files, problem.file) == ({}, str(tmp_path))
    assert problem.message == "the policy files are together over 10 bytes; write less"


def config_map(folder: Path, name: str, content: bytes) -> None:
    """What a kubelet does: a new directory, then one rename of the symlink `..data`."""
    (folder / name).mkdir()
    (folder / name / "a.yaml").write_bytes(content)
    (folder / "..data_tmp").symlink_to(name)
    (folder / "..data_tmp").rename(folder / "..data")
    if not (folder / "a.yaml").is_symlink():
        (folder / "a.yaml").symlink_to("..data/a.yaml")


def replaced(folder: Path) -> None:
    """What many editors do."""
    (folder / "new").write_bytes(b"after")
    (folder / "new").replace(folder / "a.yaml")


CHANGES: dict[str, Callable[[Path], object]] = {
    "written": lambda folder: (folder / "a.yaml").write_bytes(b"after"),
    "replaced": replaced,
    "added": lambda folder: (folder / "b.yaml").write_bytes(b"b"),
    "removed": lambda folder: (folder / "a.yaml").unlink(),
    "folder removed": lambda folder: ((folder / "a.yaml").unlink(), folder.rmdir()),
}


async def told(path: Path, change: Callable[[], object]) -> None:
    """Return when the watcher tells of a change; the watcher is closed then."""
    before = read_folder(path)
    change()
    async with aclosing(watch(path, seen=before)) as changes:
        await asyncio.wait_for(anext(changes), 30)
    assert read_folder(path) != before


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_since_the_caller_has_read_is_told(
    tmp_path: Path, change: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 50)
    folder = tmp_path / "policies"
    folder.mkdir()
    (folder / "a.yaml").write_bytes(b"before")
    asyncio.run(told(folder, lambda: change(folder)))


async def told_by_event(path: Path, change: Callable[[int], object]) -> None:
    """Change again and again until the watcher tells: it may not be listening yet at first."""
    async with aclosing(watch(path)) as changes:
        first = asyncio.ensure_future(anext(changes))
        for n in range(100):
            await asyncio.wait({first}, timeout=0.2)
            if first.done():
                return
            change(n)
        raise AssertionError("nothing was told")


def test_an_event_tells_of_a_change_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 10**7)
    file = tmp_path / "a.yaml"
    file.write_bytes(b"before")
    asyncio.run(told_by_event(tmp_path, lambda n: file.write_bytes(b"%d" % n)))
    asyncio.run(told_by_event(file, lambda n: file.write_bytes(b"again %d" % n)))


def test_a_swapped_config_map_is_told_by_an_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 10**7)
    config_map(tmp_path, "..before", b"before")
    assert read_folder(tmp_path) == ({"a.yaml": b"before"}, ())
    asyncio.run(told_by_event(tmp_path, lambda n: config_map(tmp_path, f"..{n}", b"%d" % n)))


def test_what_makes_no_event_is_seen_by_looking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 50)
    far, folder = tmp_path / "far", tmp_path / "policies"
    far.mkdir()
    folder.mkdir()
    (far / "a.yaml").write_bytes(b"before")
    (folder / "a.yaml").symlink_to(far / "a.yaml")
    asyncio.run(told_by_event(folder, lambda n: (far / "a.yaml").write_bytes(b"%d" % n)))


def test_a_folder_that_is_not_there_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 50)
    folder = tmp_path / "later"

    async def scenario() -> list[dict[str, bytes]]:
        seen = []
        async with aclosing(watch(folder)) as changes:
            first = asyncio.ensure_future(anext(changes))
            await asyncio.wait({first}, timeout=0.2)
            folder.mkdir()
            await first
            seen.append(read_folder(folder)[0])
            (folder / "a.yaml").write_bytes(b"a")
            await anext(changes)
            seen.append(read_folder(folder)[0])
        return seen

    assert asyncio.run(scenario()) == [{}, {"a.yaml": b"a"}]


def test_a_half_written_file_is_told_and_so_is_the_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 50)
    file = tmp_path / "a.yaml"
    file.write_bytes(b"before")

    async def scenario() -> list[bytes]:
        seen = []
        async with aclosing(watch(tmp_path, seen=read_folder(tmp_path))) as changes:
            for content in (b"organiz", b"organizations: {}"):
                file.write_bytes(content)
                await anext(changes)
                seen.append(file.read_bytes())
        return seen

    assert asyncio.run(scenario()) == [b"organiz", b"organizations: {}"]


def test_a_touched_file_with_the_same_content_is_not_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy_folder, "LOOK_MS", 50)
    file = tmp_path / "a.yaml"
    file.write_bytes(b"same")
    looks = 0

    def counted(path: str | Path) -> policy_folder.Folder:
        nonlocal looks
        looks += 1
        return read_folder(path)

    monkeypatch.setattr(policy_folder, "read_folder", counted)

    async def scenario() -> None:
        async with aclosing(watch(tmp_path)) as changes:
            first = asyncio.ensure_future(anext(changes))
            while looks < 5:
                os.utime(file)
                await asyncio.wait({first}, timeout=0.05)
            assert not first.done()
            file.write_bytes(b"other")
            await first

    asyncio.run(scenario())


def test_the_stop_event_ends_the_watch_and_so_does_cancelling(tmp_path: Path) -> None:
    async def count(stop: asyncio.Event | None) -> int:
        return len([None async for _ in watch(tmp_path, stop)])

    async def scenario() -> None:
        stop = asyncio.Event()
        task = asyncio.ensure_future(count(stop))
        await asyncio.wait({task}, timeout=0.2)
        stop.set()
        assert await asyncio.wait_for(task, 30) == 0
        task = asyncio.ensure_future(count(None))
        await asyncio.wait({task}, timeout=0.2)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 30)

    asyncio.run(scenario())
