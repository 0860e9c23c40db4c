"""Circuits, wired: as the settings say, counted and logged; looked at before anything is costly."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.circuit import Bounds, Circuits, State
from gateway.forward import Target
from gateway.metrics import Meters
from gateway.parts import Log
from gateway.policy.policy import UpstreamPolicy
from gateway.settings import Settings


def circuits_of(settings: Settings, meters: Meters, log: Log) -> Circuits:
    def changed(upstream: str, state: State) -> None:
        if state is State.OPEN:
            meters.circuit_opened.add((upstream,))
            log.error("circuit_opened", upstream=upstream)
        else:
            log.info("circuit_closed", upstream=upstream)

    bounds = Bounds(
        settings.circuit_failures, settings.circuit_window_seconds, settings.circuit_open_seconds
    )
    return Circuits(bounds, changed)


def unless_open(
    circuits: Circuits, resolve: Callable[[UpstreamPolicy], Target]
) -> Callable[[UpstreamPolicy], Target]:
    """A request for an upstream that has a rest is refused before anything costly is done for
    it."""
    now = asyncio.get_running_loop().time

    def looked(upstream: UpstreamPolicy) -> Target:
        circuits.look(upstream.name, now())
        return resolve(upstream)

    return looked
