"""What a caller says of its trace is believed where it is what the format asks for."""

from __future__ import annotations

import os

import pytest

from gateway.request_id import new_request_id
from gateway.tracing.context import Context, context_of, ids_of

TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
GOOD = f"00-{TRACE}-{SPAN}-01"


def told(*headers: tuple[str, str]) -> Context | None:
    return context_of(headers)


def test_a_parent_is_read_and_written_as_it_was() -> None:
    context = told(("accept", "x"), ("traceparent", GOOD), ("tracestate", "a=1"))
    assert context == Context(int(TRACE, 16), int(SPAN, 16), True, "a=1")
    assert context.headers() == [("traceparent", GOOD), ("tracestate", "a=1")]


@pytest.mark.parametrize(
    "value",
    [
        "",
        "nonsense",
        GOOD.upper(),
        f"ff-{TRACE}-{SPAN}-01",
        f"00-{'0' * 32}-{SPAN}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"00-{TRACE}-{SPAN}-01-more",
        f"00-{TRACE}-{SPAN}",
        f" {GOOD}",
        f"{GOOD}\n",
        f"00-{TRACE}-{SPAN}-1",
    ],
)
def test_what_is_no_parent_begins_a_new_trace(value: str) -> None:
    assert told(("traceparent", value), ("tracestate", "a=1")) is None


def test_two_parents_are_none() -> None:
    assert told(("traceparent", GOOD), ("traceparent", GOOD)) is None


def test_a_later_version_of_the_format_may_say_more() -> None:
    assert told(("traceparent", f"cc-{TRACE}-{SPAN}-00-more")) is not None


@pytest.mark.parametrize(
    ("flags", "kept"), [("00", False), ("01", True), ("02", False), ("03", True)]
)
def test_only_the_flag_of_sampling_counts(flags: str, kept: bool) -> None:
    context = told(("traceparent", GOOD[:-2] + flags))
    assert context is not None
    assert context.is_sampled is kept


@pytest.mark.parametrize(("state", "kept"), [("a=1", "a=1"), ("a=" + "x" * 511, ""), ("a=é", "")])
def test_a_state_is_passed_on_within_bounds(state: str, kept: str) -> None:
    context = told(("traceparent", GOOD), ("tracestate", state))
    assert context is not None
    assert context.state == kept


def test_states_of_several_headers_are_one() -> None:
    context = told(("tracestate", "a=1"), ("traceparent", GOOD), ("tracestate", "b=2"))
    assert context is not None
    assert context.state == "a=1,b=2"


def test_the_ids_are_those_of_the_request() -> None:
    whole, root, forward = ids_of(f"req_t{TRACE}")
    assert f"{whole:032x}" == TRACE
    assert (f"{root:016x}", f"{forward:016x}") == (TRACE[16:], TRACE[12:28])


def test_requests_of_one_moment_have_spans_of_their_own() -> None:
    ids = [ids_of(new_request_id(1_800_000_000.5, os.urandom)) for _ in range(1000)]
    assert len({span for _, *spans in ids for span in spans}) == 2000
    assert len({whole >> 80 for whole, *_ in ids}) == 1
