"""Listening: an address that cannot be used is one sentence."""

from __future__ import annotations

import socket

import pytest

from gateway.edge.server import CannotListen, listen


def test_a_taken_port_is_said_in_our_words_only() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(CannotListen) as refused:
            listen("127.0.0.1", port)
    assert str(refused.value) == (
        f"cannot listen on 127.0.0.1:{port}: Address already in use. "
        "Choose another port or address."
    )
