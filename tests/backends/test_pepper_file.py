"""The pepper comes from the settings or a file, which is made once, whole and private."""

import stat
import threading

import pytest

from gateway.backends.pepper_file import PepperProblem, load_pepper
from gateway.settings import Settings


def settings_for(tmp_path, **changes) -> Settings:
    return Settings(pepper_file=str(tmp_path / "var/pepper"), **changes)


def test_with_sqlite_a_pepper_is_made_once_and_kept(tmp_path):
    first = load_pepper(settings_for(tmp_path))
    assert len(first) == 64
    assert load_pepper(settings_for(tmp_path)) == first
    file = tmp_path / "var/pepper"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert list(file.parent.iterdir()) == [file]


def test_threads_that_start_at_once_agree_on_one_pepper(tmp_path):
    found = []
    crowd = [
        threading.Thread(target=lambda: found.append(load_pepper(settings_for(tmp_path))))
        for _ in range(8)
    ]
    for thread in crowd:
        thread.start()
    for thread in crowd:
        thread.join()
    assert len(found) == 8
    assert len(set(found)) == 1


def test_a_pepper_in_the_settings_wins_over_the_file(tmp_path):
    load_pepper(settings_for(tmp_path))
    assert load_pepper(settings_for(tmp_path, pepper="p" * 32)) == b"p" * 32


def test_with_postgres_no_pepper_is_made_up(tmp_path):
    settings = settings_for(tmp_path, database_url="postgresql://host/x")
    with pytest.raises(PepperProblem, match="set GATEWAY_PEPPER"):
        load_pepper(settings)
    (tmp_path / "var").mkdir()
    (tmp_path / "var/pepper").write_text("f" * 40 + "\n")
    assert load_pepper(settings) == b"f" * 40


def test_a_short_pepper_is_refused(tmp_path):
    with pytest.raises(PepperProblem, match="GATEWAY_PEPPER has 5 characters"):
        load_pepper(settings_for(tmp_path, pepper="short"))
    (tmp_path / "var").mkdir()
    (tmp_path / "var/pepper").write_text("\n")
    with pytest.raises(PepperProblem, match="0 characters"):
        load_pepper(settings_for(tmp_path))


@pytest.mark.parametrize("spoil", [
    lambda file: file.mkdir(parents=True),
    lambda file: file.parent.write_text(""),
    lambda file: (file.parent.mkdir(), file.write_bytes(b"\xff" * 64)),
])  # fmt: skip
def test_a_pepper_file_that_cannot_be_used_is_named(tmp_path, spoil):
    spoil(tmp_path / "var/pepper")
    with pytest.raises(PepperProblem, match=r"pepper file .*pepper cannot be used"):
        load_pepper(settings_for(tmp_path))
