"""One upstream and one gateway for all journeys that leave them as they were, and gateways of their
own for those that do not."""

from __future__ import annotations

import importlib.util
import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from processes import DEADLINE_SECONDS, HERE, ROOT, Gateway, Simulator, clean_environment

MODERN = ("3.54.0", "1.109.1")
LEGACY = "0.28.1"


@pytest.fixture(scope="session")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("simulator"))
    yield simulator
    simulator.program.kill()


@pytest.fixture(scope="session")
def gateway(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway that every journey may use, but not stop, reload or count as a whole."""
    gateway = Gateway(tmp_path_factory.mktemp("gateway"), simulator)
    yield gateway
    gateway.remove()


@pytest.fixture
def new_gateway(
    simulator: Simulator, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Gateway]]:
    """Makes a gateway of the test's own, with other settings where they are named."""
    made: list[Gateway] = []

    def make(**settings: str) -> Gateway:
        made.append(Gateway(tmp_path_factory.mktemp("own"), simulator, **settings))
        return made[-1]

    yield make
    for gateway in made:
        gateway.remove()


@pytest.fixture(scope="session")
def sdk(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., dict[str, Any]]:
    """Runs scenarios of tests/journeys/clients with one version of the official client."""
    spec = importlib.util.spec_from_file_location("sdks", ROOT / "scripts" / "sdks.py")
    assert spec is not None
    assert spec.loader is not None
    sdks = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sdks)
    home = tmp_path_factory.mktemp("home")

    def run(version: str, base_url: str, key: str, *scenarios: str) -> dict[str, Any]:
        if not sdks.is_ready(version):
            pytest.fail(f"There is no openai {version}. Run: python scripts/sdks.py")
        script = HERE / "clients" / ("legacy.py" if version == LEGACY else "modern.py")
        ended = subprocess.run(
            [str(sdks.python_of(version)), str(script), base_url, key, *scenarios],
            capture_output=True,
            text=True,
            env=clean_environment(Path(home)),
            timeout=3 * DEADLINE_SECONDS,
            check=False,
        )
        assert ended.returncode == 0, ended.stderr
        seen: dict[str, Any] = json.loads(ended.stdout)
        return seen

    return run
