"""How many tokens an audio input is at most. Pure.

Source: the OpenAI API documentation, "Realtime costs": a token of user audio is 100 ms.
"""

from __future__ import annotations

import struct
from binascii import Error, a2b_base64
from typing import Final

TOKENS_PER_SECOND: Final = 10

CHARACTERS_PER_TOKEN: Final = 64
"""Of base64, half of what 100 ms have at the lowest rate of MP3 (8 kbit/s: 133 characters)."""

_HEAD_CHARACTERS: Final = 64 * 1024  # of base64: where a WAV file tells its rate at the latest
_PCM, _FLOAT, _EXTENSIBLE = 1, 3, 0xFFFE


def audio_tokens(data: str, kind: object) -> int:
    """A bound of the tokens of an `input_audio` part: base64 `data` of the format `kind`.

    A WAV file tells its bytes a second; where it does not, and for every other format, it is as
    long as an MP3 of the lowest rate could be."""
    rate = wav_bytes_per_second(data) if kind == "wav" else None
    if rate is None:
        return len(data) // CHARACTERS_PER_TOKEN + 1
    return len(data) * 3 // 4 * TOKENS_PER_SECOND // rate + 1


def wav_bytes_per_second(data: str) -> int | None:
    """The rate of an uncompressed WAV file, the lower of the two that its header can mean."""
    head_text = data[:_HEAD_CHARACTERS]
    try:
        head = a2b_base64(head_text[: len(head_text) // 4 * 4], strict_mode=True)
    except (Error, ValueError):
        return None
    if head[:4] != b"RIFF" or head[8:12] != b"WAVE":
        return None
    at = 12
    while at + 24 <= len(head):
        name, size = head[at : at + 4], struct.unpack_from("<I", head, at + 4)[0]
        if name == b"fmt ":
            kind, channels, samples, told, _, bits = struct.unpack_from("<HHIIHH", head, at + 8)
            rate = min(samples * channels * bits // 8, told)
            return rate if kind in (_PCM, _FLOAT, _EXTENSIBLE) and rate > 0 else None
        at += 8 + size + size % 2
    return None
