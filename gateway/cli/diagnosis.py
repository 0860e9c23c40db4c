"""What a check of `gateway doctor` works with and says; many of them, run in bounded time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from gateway.logs.log import place_of
from gateway.policy.policy import Policy, Problem, UpstreamPolicy
from gateway.settings import Settings

SKEW_WARNING_SECONDS = 2.0
SKEW_WRONG_SECONDS = 30.0


class State(StrEnum):
    OK = "ok"
    NOTE = "note"  # as it is meant to be, perhaps
    WARNING = "warning"  # works, and will not in some case
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """`do` says what to do; empty where nothing is."""

    check: str
    state: State
    found: str
    do: str = ""


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at. `expected` has the settings that cannot be used, which have their defaults
    in `settings`; `policy` is None where the files have errors. Whatever a check waits for, it
    waits `seconds` at most."""

    settings: Settings
    expected: Mapping[str, str]
    environ: Mapping[str, str]
    policy: Policy | None
    problems: Sequence[Problem]
    seconds: float
    now: Callable[[], float]

    def upstreams(self) -> list[UpstreamPolicy]:
        return list(self.policy.upstreams.values()) if self.policy else []

    def url_of(self, upstream: UpstreamPolicy) -> str:
        return self.environ.get(upstream.base_url_env or "") or upstream.base_url


Check = Callable[[Patient], Iterable[Finding]]


class _Look(threading.Thread):
    """One check. Nobody waits for a thread that hangs in the system's resolver."""

    def __init__(self, name: str, check: Check, patient: Patient) -> None:
        super().__init__(name=name, daemon=True)
        self._check, self._patient = check, patient
        self.found: list[Finding] = []
        self.fault: BaseException | None = None

    def run(self) -> None:
        self.found = list(self._check(self._patient))


def examined(checks: Mapping[str, Check], patient: Patient) -> Iterator[Finding]:
    """All findings, in the order of the checks, which run at the same time."""

    def remember(told: threading.ExceptHookArgs) -> None:
        if isinstance(told.thread, _Look):
            told.thread.fault = told.exc_value

    before, threading.excepthook = threading.excepthook, remember
    try:
        looks = [_Look(name, check, patient) for name, check in checks.items()]
        for look in looks:
            look.start()
        deadline = time.monotonic() + patient.seconds + 1
        for look in looks:
            look.join(max(0.0, deadline - time.monotonic()))
            yield from _findings(look, patient)
    finally:
        threading.excepthook = before


def _findings(look: _Look, patient: Patient) -> Iterable[Finding]:
    if look.is_alive():
        return [
            Finding(
                look.name, State.WRONG, f"no answer within {patient.seconds:g} seconds",
                "See whether a name server or a firewall swallows it, or give it more time with "
                "--timeout-seconds.",
            )
        ]  # fmt: skip
    if look.fault is not None:
        told = place_of(look.fault)
        found = f"the check itself failed: {told['exception']} at {told['where'][-1]}"
        return [Finding(look.name, State.WRONG, found, "Report this as a bug.")]
    return look.found


def skew(check: str, theirs: float, asked_at: float, now: float, whose: str) -> list[Finding]:
    """Of a clock that was read between `asked_at` and `now`, in unix seconds."""
    off = max(theirs - now, asked_at - theirs, 0.0)
    if off < SKEW_WARNING_SECONDS:
        return []
    state = State.WRONG if off >= SKEW_WRONG_SECONDS else State.WARNING
    side = "behind" if theirs > now else "ahead of"
    return [
        Finding(
            check, state, f"our clock is {off:.0f} seconds {side} that of {whose}",
            "Let NTP set both clocks: windows of limits begin and end by them.",
        )
    ]  # fmt: skip
