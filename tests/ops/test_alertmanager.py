"""One alert all the way: a gateway is gone, Prometheus sees it, Alertmanager tells a webhook."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Empty, Queue
from typing import Any

import pytest
import yaml
from observed import JOB, PrometheusProcess, rule_files

from dashboards import RULES
from ops_tools import path_of
from plant import Process, free_port, until

pytestmark = [
    pytest.mark.ops,
    pytest.mark.skipif(
        path_of("promtool") is None or path_of("alertmanager") is None,
        reason="MISSING: Prometheus or Alertmanager (Debian's prometheus, prometheus-alertmanager)",
    ),
]

TOLD_SECONDS = 60
FAST = "1s"


class AlertmanagerProcess(Process):
    """An Alertmanager on a port of its own that tells all to one webhook, at once."""

    def __init__(self, folder: Path, webhook: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.address = f"127.0.0.1:{free_port()}"
        config = folder / "alertmanager.yml"
        route = {"receiver": "hook", "group_wait": FAST, "group_interval": FAST}
        hook = {"url": webhook, "send_resolved": True}
        told = {"route": route, "receivers": [{"name": "hook", "webhook_configs": [hook]}]}
        config.write_text(yaml.safe_dump(told))
        words = [
            path_of("alertmanager") or "",
            f"--config.file={config}",
            f"--storage.path={folder / 'data'}",
            f"--web.listen-address={self.address}",
            "--cluster.listen-address=",
        ]
        super().__init__(words, folder, {})


@contextmanager
def webhook(told: Queue[dict[str, Any]]) -> Iterator[str]:
    """The URL of a receiver that puts every alert that it is told of into the queue."""

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.end_headers()
            for alert in json.loads(body)["alerts"]:
                told.put(alert)

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Hook) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}/"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def metrics_page(port: int) -> Iterator[None]:
    """A target that answers the scrape, for a while."""

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(b'gateway_build_info{version="0.1.0"} 1\n')

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", port), Page) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()


def hasty(folder: Path) -> list[Path]:
    """The chart's rules, word for word, but that an alert waits for a second only."""
    copies = []
    for path in rule_files():
        rules = yaml.safe_load(path.read_text())
        for group in rules["groups"]:
            for rule in group["rules"]:
                if "for" in rule:
                    rule["for"] = FAST
        copies.append(folder / path.name)
        copies[-1].write_text(yaml.safe_dump(rules))
    return copies


def next_of(told: Queue[dict[str, Any]], name: str, status: str) -> dict[str, Any]:
    """The next alert of that name with that status. Raises TimeoutError."""

    def found() -> dict[str, Any] | None:
        with suppress(Empty):
            while True:
                alert = told.get_nowait()
                if (alert["labels"]["alertname"], alert["status"]) == (name, status):
                    return alert
        return None

    alert: dict[str, Any] = until(found, f"the webhook hears that {name} is {status}", TOLD_SECONDS)
    return alert


def rule_of(name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(
        rule
        for path in sorted(RULES.glob("*.yaml"))
        for group in yaml.safe_load(path.read_text())["groups"]
        for rule in group["rules"]
        if rule.get("alert") == name
    )
    return found


def test_an_alert_reaches_a_webhook_with_its_page_and_is_taken_back(tmp_path: Path) -> None:
    told: Queue[dict[str, Any]] = Queue()
    port = free_port()
    target = f"127.0.0.1:{port}"
    with ExitStack() as stack:
        manager = AlertmanagerProcess(tmp_path / "alertmanager", stack.enter_context(webhook(told)))
        manager.start()
        stack.callback(manager.end, signal.SIGKILL)
        prometheus = PrometheusProcess(
            tmp_path / "prometheus", [target], hasty(tmp_path), manager.address
        )
        prometheus.start()
        stack.callback(prometheus.end, signal.SIGKILL)
        prometheus.ready()
        alert = next_of(told, "GatewayInstanceDown", "firing")
        rule = rule_of("GatewayInstanceDown")
        assert alert["labels"]["severity"] == "warning"
        assert (alert["labels"]["job"], alert["labels"]["instance"]) == (JOB, target)
        assert alert["annotations"]["runbook_url"] == rule["annotations"]["runbook_url"]
        assert alert["annotations"]["summary"] == rule["annotations"]["summary"]
        assert f"cannot scrape {target} of {JOB}" in alert["annotations"]["description"]
        assert next_of(told, "GatewayDown", "firing")["labels"]["severity"] == "critical"
        with metrics_page(port):
            assert next_of(told, "GatewayInstanceDown", "resolved")["endsAt"] > alert["startsAt"]
