"""Audio inputs are bounded by how long they can be."""

from __future__ import annotations

import struct
from base64 import b64encode

import pytest

from gateway.openai.audio import audio_tokens, wav_bytes_per_second


def wav(rate: int, seconds: float, kind: int = 1, told: int | None = None) -> str:
    told = rate * 2 if told is None else told
    form = struct.pack("<HHIIHH", kind, 1, rate, told, 2, 16)
    head = b"RIFF\0\0\0\0WAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0" + form + b"data\0\0\0\0"
    return b64encode(head + b"\0" * int(rate * 2 * seconds)).decode()


@pytest.mark.parametrize("rate", [8_000, 24_000, 44_100])
def test_a_wav_file_is_as_long_as_its_rate_says(rate: int) -> None:
    tokens = audio_tokens(wav(rate, 6.0), "wav")
    assert 60 <= tokens <= 62


def test_a_rate_that_is_told_twice_is_the_lower_one() -> None:
    assert wav_bytes_per_second(wav(8_000, 1, told=100)) == 100
    assert wav_bytes_per_second(wav(8_000, 1, told=10**6)) == 16_000


@pytest.mark.parametrize("data", ["", "###", "AAAA", wav(8_000, 0, kind=2), wav(8_000, 0, told=0)])
def test_a_wav_file_without_a_rate_is_as_long_as_an_mp3_can_be(data: str) -> None:
    assert wav_bytes_per_second(data) is None
    assert audio_tokens(data, "wav") == audio_tokens(data, "mp3")


def test_an_mp3_of_the_lowest_rate_is_within_its_bound() -> None:
    minute = "A" * (60 * 1_000 * 4 // 3)
    assert audio_tokens(minute, "mp3") >= 600
