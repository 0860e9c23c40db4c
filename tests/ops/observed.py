"""Gateways under load with faults, and the real Prometheus that scrapes them."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from boards.prometheus import Prometheus, Refused
from dashboards import RULES
from ops_tools import path_of
from plant import Plant, Process, free_port, running, until

JOB = "completion-gateway"
HERE = Path(__file__).resolve().parent
SCRAPE_SECONDS = 2  # a scrape asks the ledger and the database, and waits for them as long
RULES_SECONDS = 1


@dataclass(frozen=True, slots=True)
class Observed:
    plant: Plant
    prometheus: Prometheus


class PrometheusProcess(Process):
    """A Prometheus on a port of its own, with rules, and an Alertmanager if there is one."""

    def __init__(
        self, folder: Path, targets: list[str], rules: list[Path], alertmanager: str = ""
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        command = path_of("promtool")
        assert command is not None
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        told = {
            "global": {
                "scrape_interval": f"{SCRAPE_SECONDS}s",
                "scrape_timeout": f"{SCRAPE_SECONDS}s",
                "evaluation_interval": f"{RULES_SECONDS}s",
            },
            "rule_files": [str(path) for path in rules],
            "scrape_configs": [{"job_name": JOB, "static_configs": [{"targets": targets}]}],
        }
        if alertmanager:
            told["alerting"] = {
                "alertmanagers": [{"static_configs": [{"targets": [alertmanager]}]}]
            }
        config = folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(told))
        words = [
            str(Path(command).with_name("prometheus")),
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address={address}",
        ]
        super().__init__(words, folder, {})

    def ready(self) -> None:
        until(self._answers, f"prometheus is ready; {self.log}")

    def _answers(self) -> bool:
        self.said()
        with suppress(OSError, Refused):
            Prometheus(self.url).ask("status/buildinfo", {})
            return True
        return False


def rule_files() -> list[Path]:
    return sorted(RULES.glob("*.yaml"))


@contextmanager
def observed() -> Iterator[Observed]:
    """Two gateways on Redis and Postgres, scraped each second; the rules evaluated as often."""
    policy = (HERE / "policy.yaml").read_text()
    with running(
        policy,
        2,
        shared=True,
        reservation_margin_seconds="1",
        write_timeout_seconds="3",
        sweep_seconds="0.5",
    ) as plant:
        targets = [gateway.ops_url.removeprefix("http://") for gateway in plant.gateways]
        process = PrometheusProcess(plant.folder / "prometheus", targets, rule_files())
        process.start()
        try:
            process.ready()
            yield Observed(plant, Prometheus(process.url))
        finally:
            process.end(signal.SIGKILL)
