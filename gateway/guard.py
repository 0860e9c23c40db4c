"""Circuits, wired: as the settings say, counted and logged; looked at before anything is costly."""

from __future__ import annotations

import asyncio

from gateway.circuit import Bounds, Circuits, State
from gateway.meters.metrics import Meters
from gateway.parts import Log
from gateway.policy.match import Rules
from gateway.policy.policy import UpstreamPolicy
from gateway.settings import Settings


def circuits_of(settings: Settings, meters: Meters, log: Log) -> Circuits:
    def changed(upstream: str, organization: str, state: State) -> None:
        if state is State.OPEN:
            meters.circuit_opened.add((upstream,))
            log.error("circuit_opened", upstream=upstream, organization=organization)
        else:
            log.info("circuit_closed", upstream=upstream, organization=organization)

    bounds = Bounds(
        settings.circuit_failures, settings.circuit_window_seconds, settings.circuit_open_seconds
    )
    return Circuits(bounds, changed)


def unless_open(circuits: Circuits, rules: Rules) -> UpstreamPolicy:
    """The upstream of a request; one for an upstream that has a rest is refused before anything
    costly is done for it."""
    if not circuits.is_all_well:
        now = asyncio.get_running_loop().time()
        circuits.look(rules.upstream.name, now, rules.organization.name)
    return rules.upstream
