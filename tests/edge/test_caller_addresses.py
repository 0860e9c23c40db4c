"""A caller's address is the connection's, or what a trusted proxy saw; nobody can make one up."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from world import World, chat

from gateway.edge.addresses import HOPS_MAX, Proxies, forwarded_for, holder, parsed
from gateway.edge.peers import Peers
from gateway.edge.routes import build_api
from gateway.settings import Settings

OURS = "10.0.0.0/8,fd00::/8"


def caller_of(peer: str, *told: str, header: str = "x-forwarded-for") -> str:
    proxies = Proxies(Settings(trusted_proxies=OURS, forwarded_header=header))
    return proxies.caller_of(peer, [(header.encode(), value.encode("latin-1")) for value in told])


@pytest.mark.parametrize(
    ("peer", "told", "caller"),
    [
        ("192.0.2.1", ["198.51.100.7"], "192.0.2.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5", "198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["203.0.113.5, 198.51.100.7, 10.1.1.1, 10.2.2.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.9.9.9, 10.1.1.1"], "10.9.9.9"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("fd00::1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, nonsense, 10.1.1.1"], "10.1.1.1"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", ["\xff\xfe"], "10.0.0.1"),
    ],
)
def test_the_last_address_that_is_not_a_proxy_s_is_the_caller_s(
    peer: str, told: list[str], caller: str
) -> None:
    assert caller_of(peer, *told) == caller


@pytest.mark.parametrize(
    ("told", "caller"),
    [
        (["for=198.51.100.7"], "198.51.100.7"),
        (["For=198.51.100.7;proto=https;by=10.0.0.1"], "198.51.100.7"),
        (['for="[2001:db8::1]:4711"'], "2001:db8::1"),
        (["for=203.0.113.5, for=198.51.100.7"], "198.51.100.7"),
        (["for=203.0.113.5", "for=198.51.100.7"], "198.51.100.7"),
        (['for=198.51.100.7;host="a, for=203.0.113.5"'], "198.51.100.7"),
        (['for=198.51.100.7;host="a;for=203.0.113.5"'], "198.51.100.7"),
        (['for="203.0.113.5, for=198.51.100.7'], "10.0.0.1"),
        (["for=_hidden"], "10.0.0.1"),
        (["proto=https"], "10.0.0.1"),
        (["for=198.51.100.7, proto=https"], "10.0.0.1"),
    ],
)
def test_forwarded_is_read_as_its_standard_says(told: list[str], caller: str) -> None:
    assert caller_of("10.0.0.1", *told, header="forwarded") == caller


def test_a_forwarded_header_of_spaces_is_read_in_no_time() -> None:
    began = time.perf_counter()
    assert list(forwarded_for("for=a;" + " " * 60_000 + '"'))[-1] == ""
    assert time.perf_counter() - began < 1


def test_of_two_headers_only_the_one_that_is_set_is_read() -> None:
    headers = [(b"forwarded", b"for=203.0.113.5"), (b"x-forwarded-for", b"198.51.100.7")]
    for header, caller in (("x-forwarded-for", "198.51.100.7"), ("forwarded", "203.0.113.5")):
        proxies = Proxies(Settings(trusted_proxies=OURS, forwarded_header=header))
        assert proxies.caller_of("10.0.0.1", headers) == caller


def test_a_list_without_end_is_read_to_a_bound_only() -> None:
    told = ", ".join(["198.51.100.7", *["10.1.1.1"] * HOPS_MAX])
    assert caller_of("10.0.0.1", told) == "10.1.1.1"


@given(st.text(max_size=40))
def test_no_header_breaks_the_reading(text: str) -> None:
    told = text.encode("utf-8", "replace").decode("latin-1")
    for header in ("x-forwarded-for", "forwarded"):
        assert parsed(caller_of("10.0.0.1", told, header=header))
    assert len(list(forwarded_for(told))) <= len(told) + 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8::1", "2001:db8::ffff", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
    ],
)
def test_who_has_an_address_of_ipv6_has_its_network(one: str, other: str, same: bool) -> None:
    peers = Peers(Settings(connections_per_address_max=1))
    seat = peers.enter(one)
    assert seat == holder(one)
    assert (peers.enter(other) is None) is same
    assert peers.count == 1 + (not same)


def asked(app: Any, key: str, peer: str, *headers: tuple[bytes, bytes]) -> asyncio.Task[int]:
    """A chat in work; its status."""

    async def work() -> int:
        requests = [{"type": "http.request", "body": json.dumps(chat()).encode()}]
        status: list[int] = []

        async def receive() -> dict[str, Any]:
            return requests.pop() if requests else await asyncio.Event().wait()

        async def send(message: dict[str, Any]) -> None:
            status.append(message.get("status", 0))

        scope = {
            "type": "http",
            "method": "POST",
            "path": "/v1/chat/completions",
            "query_string": b"",
            "client": (peer, 1),
            "headers": [(b"authorization", f"Bearer {key}".encode()), *headers],
        }
        await app(scope, receive, send)
        return status[0]

    return asyncio.create_task(work())


def test_requests_of_an_address_behind_a_proxy_are_bounded() -> None:
    world = World(trusted_proxies=OURS, connections_per_address_max=1)
    go_on = asyncio.Event()

    async def main() -> None:
        app = build_api(world.parts)
        find = world.keyring.find

        async def waits(prefix: str) -> Any:
            await go_on.wait()
            return await find(prefix)

        world.keyring.find = waits  # type: ignore[method-assign]
        told = (b"x-forwarded-for", b"198.51.100.7")
        first = asked(app, world.key, "10.0.0.1", told)
        await asyncio.sleep(0)
        assert await asked(app, world.key, "10.0.0.2", told) == 429
        made_up = (b"x-forwarded-for", b"203.0.113.5, 198.51.100.7")
        assert await asked(app, world.key, "10.0.0.2", made_up) == 429
        other = asked(app, world.key, "10.0.0.2", (b"x-forwarded-for", b"198.51.100.8"))
        go_on.set()
        assert [await first, await other] == [502] * 2  # no upstream here
        assert await asked(app, world.key, "10.0.0.1", told) == 502
        assert await asked(app, world.key, "198.51.100.7") == 502

    asyncio.run(main())


@pytest.mark.parametrize("wanted", ["on", "off"])
def test_the_log_has_the_caller_s_address_where_that_is_wanted(wanted: str) -> None:
    world = World(trusted_proxies=OURS, log_addresses=wanted)

    async def main() -> None:
        app = build_api(world.parts)
        told = (b"x-forwarded-for", b"198.51.100.7")
        await asked(app, world.key, "10.0.0.1", told)
        await asked(app, "no key", "192.0.2.1", told)
        await asked(lambda scope, *a: app({**scope, "path": "/x"}, *a), "", "192.0.2.2")

    asyncio.run(main())
    lines = [fields for event, fields in world.log.lines if event == "request"]
    told = ["198.51.100.7", "192.0.2.1", "192.0.2.2"] if wanted == "on" else [None] * 3
    assert [line.get("client") for line in lines] == told
    assert "198.51" not in repr(world.journal.entries)
