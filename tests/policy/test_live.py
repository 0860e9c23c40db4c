"""The policy in force is swapped as a whole, or not at all."""

import asyncio

from gateway.policy.live import Live
from gateway.policy.parse import parse
from gateway.policy.policy import Policy, Problem

TEXT = b"""
upstreams: {simulator: {simulated: true}}
models:
  echo: {upstream: simulator, endpoints: [chat], context: 1000, max_output: 100}
redaction: {nothing: {entities: {}}}
organizations:
  default: {projects: {demo: {models: [echo], redaction: nothing}}}
"""
NONE: frozenset[str] = frozenset()


def policy(text: bytes = TEXT) -> Policy:
    parsed = parse({"a.yaml": text}, NONE, {})
    assert parsed.policy is not None
    return parsed.policy


def test_a_good_policy_takes_over_and_old_snapshots_stay_as_they_are() -> None:
    live = Live(policy())
    before = live.current
    changed = TEXT.replace(b"demo", b"prod")
    parsed = asyncio.run(live.reload(lambda: ({"a.yaml": changed}, ()), NONE, {}))
    assert live.current is parsed.policy
    assert set(live.current.organizations["default"].projects) == {"prod"}
    assert set(before.organizations["default"].projects) == {"demo"}
    assert live.current.digest != before.digest


def test_a_wrong_policy_is_told_and_the_old_one_stays() -> None:
    live = Live(policy())
    before = live.current
    half_written = TEXT[: len(TEXT) // 2]
    parsed = asyncio.run(live.reload(lambda: ({"a.yaml": half_written}, ()), NONE, {}))
    assert parsed.policy is None
    assert any(problem.severity == "error" for problem in parsed.problems)
    assert live.current is before


def test_a_folder_that_cannot_be_read_is_told_and_the_old_one_stays() -> None:
    live = Live(policy())
    before = live.current
    gone = Problem("policies", 0, "No such file or directory")
    parsed = asyncio.run(live.reload(lambda: ({}, (gone,)), NONE, {}))
    assert parsed.problems == (gone,)
    assert live.current is before


def test_reloads_do_not_overlap_so_the_last_to_read_stays() -> None:
    async def scenario() -> set[str]:
        live = Live(policy())
        reading = 0

        def read() -> tuple[dict[str, bytes], tuple[Problem, ...]]:
            nonlocal reading
            reading += 1
            name = b"demo-%d" % reading
            return {"a.yaml": TEXT.replace(b"demo", name)}, ()

        await asyncio.gather(*(live.reload(read, NONE, {}) for _ in range(5)))
        return set(live.current.organizations["default"].projects)

    assert asyncio.run(scenario()) == {"demo-5"}
