"""The Dockerfile, built for real by buildah, and what it makes, run as a cluster would run it.

No registry is asked for the base: it is made of Debian's own packages and given as BASE. The built
image runs in namespaces of its own, with no network but loopback, as its numeric user, without
capabilities, on a root that cannot be written; its own health check is what is asked.

    pytest -m ops -s tests/ops/test_container.py     prints the size of each layer
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway import __version__

pytestmark = pytest.mark.ops

ROOT = Path(__file__).resolve().parent.parent.parent
BASE_TAR = ROOT / ".tools" / "container" / "base.tar"
BASE_PACKAGES = "ca-certificates,python3.11-venv,python3-pip-whl"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
TOOLS = ("buildah", "mmdebstrap", "unshare", "nsenter", "chroot")
UNPACKED_MB_MAX, COMPRESSED_MB_MAX = 450, 150  # of what the Dockerfile adds to its base

# What a container runtime does for `--read-only --cap-drop=ALL --security-opt no-new-privileges`
# with a volume at /app/var and a tmpfs at /tmp. $1 is the root, the rest is the command.
RUNTIME = """
ip link set lo up 2>/dev/null || true
root=$1; shift
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/tmp"
mount -t tmpfs -o mode=0755,uid=10001,gid=10001 tmpfs "$root/app/var"
mount -o remount,ro,bind "$root"
exec "$@"
"""


@dataclass
class Image:
    """A built image: its root, mounted, its config, and the size of its layers in bytes."""

    root: Path
    config: dict[str, Any]
    layers: list[int]

    def within(self, *command: str) -> list[str]:
        """The command as the image's user, in its folder and environment, without any rights."""
        user, group = self.config["User"].split(":")
        into = ["chroot", str(self.root), "/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}"]
        rights = ["--clear-groups", "--no-new-privs", "--bounding-set=-all", "--inh-caps=-all"]
        environment = ["/usr/bin/env", "-i", "-C", self.config["WorkingDir"], *self.config["Env"]]
        return [*into, *rights, *environment, *command]


def buildah(store: Path, *arguments: str, timeout: float = 1500) -> str:
    command = ["buildah", "--root", str(store / "root"), "--runroot", str(store / "run")]
    environ = os.environ | {"BUILDAH_ISOLATION": "chroot"}
    done = subprocess.run(
        [*command, *arguments], capture_output=True, text=True, timeout=timeout, env=environ
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout.strip()


def base_tar() -> Path:
    """Debian's Python as a root file system, made once; the tests are skipped where it cannot."""
    if not BASE_TAR.exists():
        BASE_TAR.parent.mkdir(parents=True, exist_ok=True)
        part = BASE_TAR.with_suffix(".part.tar")
        making = ["mmdebstrap", "--variant=essential", f"--include=apt,{BASE_PACKAGES}"]
        done = subprocess.run(
            [*making, "bookworm", str(part)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            part.unlink(missing_ok=True)
            pytest.skip(f"mmdebstrap cannot make a base: {done.stderr[-500:]}")
        part.rename(BASE_TAR)
    return BASE_TAR


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Image]:
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"SKIPPED, nothing is built: {', '.join(missing)} is missing (make ops-test)")
    if os.geteuid() != 0:
        pytest.skip("SKIPPED, nothing is built: only root can make the namespaces")
    store = tmp_path_factory.mktemp("store")
    base = store / "base"
    base.mkdir()
    (base / "base.tar").hardlink_to(base_tar()) if same_disk(base) else shutil.copy(
        base_tar(), base / "base.tar"
    )
    (base / "Dockerfile").write_text(
        "FROM scratch\nADD base.tar /\nRUN ln -s python3.11 /usr/bin/python\n"
    )
    container = ""
    try:
        buildah(store, "bud", "--tag", "localhost/base", str(base))
        build(store)
        container = buildah(store, "from", "--pull-never", "localhost/gateway")
        root = Path(buildah(store, "mount", container))
        told = json.loads(buildah(store, "inspect", "--type", "image", "localhost/gateway"))
        yield Image(root, told["Docker"]["config"], layer_sizes(store))
    finally:
        if container:
            buildah(store, "umount", container)
            buildah(store, "rm", container)
        buildah(store, "rmi", "--all", "--force")
        shutil.rmtree(store, ignore_errors=True)


def same_disk(folder: Path) -> bool:
    return base_tar().stat().st_dev == folder.stat().st_dev


def build(store: Path) -> None:
    """The Dockerfile as it is; pip may need this machine's certificates and index for it."""
    pip = store / "pip.conf"
    lines = ["[global]"]
    index = subprocess.run(
        ["python3", "-m", "pip", "config", "get", "global.index-url"],
        capture_output=True, text=True, check=False,
    ).stdout.strip()  # fmt: skip
    lines += [f"index-url = {index}"] if index else []
    volumes = ["--volume", f"{pip}:/etc/pip.conf:ro"]
    if CERTIFICATES.exists():
        lines.append(f"cert = {CERTIFICATES}")
        volumes += ["--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"]
    pip.write_text("\n".join(lines) + "\n")
    arguments = ["BASE=localhost/base", f"VERSION={__version__}", "REVISION=tested"]
    flags = [flag for one in arguments for flag in ("--build-arg", one)]
    where = ["--file", str(ROOT / "Dockerfile"), "--ignorefile", str(ROOT / ".dockerignore")]
    options = ["--pull-never", "--format", "docker", "--layers=false", *flags, *volumes, *where]
    buildah(store, "bud", *options, "--tag", "localhost/gateway", str(ROOT))


def layer_sizes(store: Path) -> list[int]:
    """Compressed, as they are pulled, from the base up."""
    oci = store / "oci"
    buildah(store, "push", "--quiet", "localhost/gateway", f"oci:{oci}")
    index = json.loads((oci / "index.json").read_text())
    blob = index["manifests"][0]["digest"].replace(":", "/")
    manifest = json.loads((oci / "blobs" / blob).read_text())
    return [layer["size"] for layer in manifest["layers"]]


class Running:
    """The image's own command, in namespaces of its own."""

    def __init__(self, image: Image) -> None:
        self.image = image
        config = image.config
        command = image.within(*config["Entrypoint"], *config["Cmd"])
        namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child"]
        self.process = subprocess.Popen(
            [*namespaces, "sh", "-euc", RUNTIME, "runtime", str(image.root), *command],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    @property
    def pid(self) -> int:
        """Of the gateway, which is 1 in its own namespace."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        while not (found := children.read_text().split()):
            assert self.process.poll() is None, "it ended at once"
            time.sleep(0.01)  # it has not begun yet
        return int(found[0])

    def wait_until_it_listens(self) -> None:
        assert self.process.stdout is not None
        while "/metrics)" not in self.said:
            line = self.process.stdout.readline()
            assert line, self.said
            self.said += line

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Another command in the same container, as `exec` does it."""
        enter = ["nsenter", "--target", str(self.pid), "--mount", "--net", "--pid"]
        return subprocess.run(
            [*enter, *self.image.within(*command)], capture_output=True, text=True, timeout=120
        )

    def check_health(self) -> subprocess.CompletedProcess[str]:
        kind, *command = self.image.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.run(*command)

    def stop(self) -> int:
        os.kill(self.pid, signal.Signals[self.image.config["StopSignal"]])
        said, _ = self.process.communicate(timeout=60)
        self.said += said
        return self.process.returncode


@pytest.fixture
def running(image: Image) -> Iterator[Running]:
    running = Running(image)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()
        if running.process.stdout:
            running.process.stdout.close()


ASK = """
import json, sys, urllib.request
body = {"model": "echo", "messages": [{"role": "user", "content": sys.argv[2]}]}
asked = urllib.request.Request(
    "http://127.0.0.1:8080/v1/chat/completions", json.dumps(body).encode(),
    {"authorization": "Bearer " + sys.argv[1], "content-type": "application/json"},
)
print(json.load(urllib.request.urlopen(asked))["choices"][0]["message"]["content"])
"""
TEXT = "Mail ada@example.com or call +49 30 901820 about card 4111 1111 1111 1111."


def test_it_serves_as_nobody_on_a_root_that_cannot_be_written(running: Running) -> None:
    assert running.check_health().returncode == 1  # not yet
    running.wait_until_it_listens()
    deadline = time.monotonic() + 60
    while (health := running.check_health()).returncode and time.monotonic() < deadline:
        time.sleep(0.5)
    assert (health.returncode, health.stdout) == (0, "ok\n"), health.stderr

    status = Path(f"/proc/{running.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    assert fields["Uid"].split() == fields["Gid"].split() == ["10001"] * 4
    assert int(fields["CapEff"], 16) == int(fields["CapBnd"], 16) == 0
    assert fields["NoNewPrivs"] == "1"

    for place in ("/app/x", "/opt/gateway/x", "/x", "/etc/x"):
        refused = running.run("python", "-c", f"open({place!r}, 'w')")
        assert "Read-only file system" in refused.stderr
    made = running.run("gateway", "key", "create", "--project", "demo", "--name", "x", "--json")
    assert made.returncode == 0, made.stderr
    answer = running.run("python", "-c", ASK, json.loads(made.stdout)["key"], TEXT)
    assert answer.stdout.strip() == TEXT, answer.stderr  # restored
    received = running.run("cat", "/app/var/simulator.jsonl").stdout
    for value in ("ada@example.com", "901820", "4111"):
        assert value not in received
    assert running.run("gateway", "--version").stdout.strip() == __version__

    assert running.stop() == 0, running.said
    assert "Traceback" not in running.said


def test_its_config_is_what_clusters_and_registries_read(image: Image) -> None:
    config = image.config
    assert config["User"] == "10001:10001"  # a number, which `runAsNonRoot` can check
    assert config["Entrypoint"] == ["gateway"]
    assert config["StopSignal"] == "SIGTERM"
    assert set(config["Volumes"]) == {"/app/var"}
    assert set(config["ExposedPorts"]) == {"8080/tcp", "9090/tcp"}
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert labels["version"] == __version__
    assert labels["revision"] == "tested"
    assert labels["licenses"] == "Apache-2.0"


def test_it_has_what_it_runs_on_and_nothing_to_build_with(image: Image) -> None:
    packages = image.root / "opt/gateway/lib/python3.11/site-packages"
    assert (packages / "gateway" / "migrations" / "env.py").exists()
    assert not (packages / "pip").exists()
    assert not (packages / "pytest").exists()
    for name in ("src", "root/.cache", "opt/gateway/bin/pip", "usr/bin/strip"):
        assert not (image.root / name).exists()
    left = [path for path in packages.rglob("tests") if path.is_dir()]
    assert left == []
    writable = [
        path
        for path in (image.root / "opt").rglob("*")
        if not path.is_symlink() and path.stat().st_mode & 0o022
    ]
    assert writable == []


def test_its_size_is_stated(image: Image) -> None:
    base, *ours = (size / 1e6 for size in image.layers)
    packages = image.root / "opt/gateway/lib/python3.11/site-packages"
    sizes = {path.name: size_mb(path) for path in packages.iterdir() if path.is_dir()}
    unpacked = size_mb(image.root / "opt/gateway") + size_mb(image.root / "app")
    print(f"\nbase (Debian's) {base:.0f} MB; ours {sum(ours):.0f} MB, unpacked {unpacked:.0f} MB")
    for name, size in sorted(sizes.items(), key=lambda one: -one[1])[:10]:
        print(f"  {name:24} {size:6.1f} MB")
    assert unpacked < UNPACKED_MB_MAX
    assert sum(ours) < COMPRESSED_MB_MAX


def size_mb(folder: Path) -> float:
    files = (path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return sum(path.stat().st_size for path in files) / 1e6
