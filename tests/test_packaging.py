"""What is shipped: the pins, the wheel, the image, the services and the make targets."""

from __future__ import annotations

import ast
import fnmatch
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from gateway import __version__
from gateway.settings import PREFIX, Settings, settings_fields

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
OCR, OTEL = (PROJECT["project"]["optional-dependencies"][extra] for extra in ("ocr", "otel"))
EXTRAS = ("requirements-ocr.txt", "requirements-otel.txt")
BY_DATE = {"certifi", "tzdata"}  # their versions are dates, and newer is right
VARIABLES = {PREFIX + option.name.upper() for option in settings_fields()}


def pins(name: str) -> dict[str, Requirement]:
    """The pinned packages of a requirements file that this platform and Python need."""
    lines = (line.split("#")[0].strip() for line in (ROOT / name).read_text().splitlines())
    found = [Requirement(line) for line in lines if line]
    needed = [pin for pin in found if pin.marker is None or pin.marker.evaluate()]
    return {canonicalize_name(pin.name): pin for pin in needed}


def all_pins() -> dict[str, Requirement]:
    return pins("requirements.txt") | pins("requirements-dev.txt")


def version_of(pin: Requirement) -> str:
    (specifier,) = pin.specifier
    assert specifier.operator == "==", pin
    return specifier.version


def test_every_package_is_pinned_to_one_version_by_name_only() -> None:
    for pin in (*all_pins().values(), *(pin for file in EXTRAS for pin in pins(file).values())):
        assert re.fullmatch(r"[\w.]+", version_of(pin)), pin
        assert pin.url is None, pin


@pytest.mark.parametrize(
    ("wanted", "file"),
    [
        (PROJECT["project"]["dependencies"], "requirements.txt"),
        (PROJECT["project"]["dependencies"], "requirements-ocr.txt"),
        (PROJECT["project"]["dependencies"], "requirements-otel.txt"),
        (OCR, "requirements-ocr.txt"),
        (OTEL, "requirements-otel.txt"),
        (OTEL, "requirements-dev.txt"),
        (PROJECT["dependency-groups"]["dev"], "requirements-dev.txt"),
        (PROJECT["build-system"]["requires"], "requirements-dev.txt"),
    ],
)
def test_the_pins_are_within_what_the_project_asks_for(wanted: list[str], file: str) -> None:
    pinned = pins(file)
    for line in wanted:
        asked = Requirement(line)
        if asked.marker is None or asked.marker.evaluate():
            assert asked.specifier.contains(version_of(pinned[canonicalize_name(asked.name)])), line


def test_dependencies_have_a_lower_and_an_upper_bound() -> None:
    for line in (*PROJECT["project"]["dependencies"], *OCR, *OTEL):
        operators = {specifier.operator for specifier in Requirement(line).specifier}
        assert operators == {">=", "<"} or Requirement(line).name in BY_DATE, line


@pytest.mark.parametrize("file", ["requirements-dev.txt", *EXTRAS])
def test_the_files_of_pins_agree(file: str) -> None:
    runtime, other = pins("requirements.txt"), pins(file)
    for name in runtime.keys() & other.keys():
        assert version_of(runtime[name]) == version_of(other[name])


def test_the_extra_needs_no_library_of_a_screen() -> None:
    """opencv-python needs libGL; the pins have the headless one in its place."""
    assert "opencv-python" not in pins("requirements-ocr.txt")
    assert "opencv-python-headless" in pins("requirements-ocr.txt")


@pytest.mark.parametrize(
    ("closure", "roots"),
    [(pins("requirements.txt"), pins("requirements.txt")), (all_pins(), all_pins())],
    ids=["runtime", "with tests"],
)
def test_the_pins_are_the_whole_closure(
    closure: dict[str, Requirement], roots: dict[str, Requirement]
) -> None:
    """They are installed without resolving, so that what is not pinned would be missing."""
    for name, pin in roots.items():
        for line in metadata.requires(name) or ():
            needed = Requirement(line)
            extras = pin.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": e}) for e in extras):
                found = closure.get(canonicalize_name(needed.name))
                assert found is not None, f"{name} needs {line}"
                assert needed.specifier.contains(version_of(found), prereleases=True), (name, line)


def imported_packages() -> set[str]:
    names = set()
    for path in (ROOT / "gateway").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                names.add((node.module or "").split(".")[0])
    return names - sys.stdlib_module_names - {"gateway"}


def test_what_the_gateway_imports_it_declares() -> None:
    asked = [*PROJECT["project"]["dependencies"], *OCR, *OTEL]
    declared = {canonicalize_name(Requirement(line).name) for line in asked}
    providers = {**metadata.packages_distributions(), "PIL": ["pillow"]}
    for package in imported_packages():
        names = providers.get(package, [package])  # what an extra brings is not installed here
        assert declared & {canonicalize_name(name) for name in names}, package


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (path,) = folder.glob("*.whl")
    return path


def test_the_wheel_has_the_code_the_migrations_and_the_policies_and_nothing_else(
    wheel: Path,
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        shipped = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        prefix + path.relative_to(ROOT / folder).as_posix()
        for folder, prefix in {
            "gateway": "gateway/",
            "migrations": "gateway/migrations/",
            "policies": "gateway/policies/",
        }.items()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert shipped == wanted
    assert "gateway/migrations/env.py" in shipped
    assert "gateway/policies/default.yaml" in shipped


def test_the_wheel_names_its_version_licence_and_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        info = f"completion_gateway-{__version__}.dist-info"
        about = archive.read(f"{info}/METADATA").decode()
        commands = archive.read(f"{info}/entry_points.txt").decode()
        licence = archive.read(f"{info}/licenses/LICENSE")
    assert f"\nVersion: {__version__}\n" in about
    assert "\nLicense-Expression: Apache-2.0\n" in about
    assert "gateway = gateway.cli.main:main" in commands
    assert licence == (ROOT / "LICENSE").read_bytes()


def test_an_installed_wheel_migrates_a_database_on_its_own(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    here = "import gateway, sys; sys.exit(not gateway.__file__.startswith(sys.argv[1]))"
    env = {
        "PYTHONPATH": str(site),
        "PATH": os.environ["PATH"],
        "GATEWAY_DATABASE_URL": f"sqlite:///{tmp_path / 'gateway.db'}",
    }
    for command in (["-c", here, str(site)], ["-m", "gateway.cli.main", "migrate"]):
        done = subprocess.run(
            [sys.executable, *command],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
    assert (tmp_path / "gateway.db").stat().st_size > 0


def dockerfile() -> list[tuple[str, str]]:
    """The instructions with their arguments, continuation lines joined, comments left out."""
    text = (ROOT / "Dockerfile").read_text()
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    lines = kept.replace("\\\n", " ").splitlines()
    return [(line.split(None, 1)[0], line.split(None, 1)[1]) for line in lines if line.strip()]


def final_stage() -> list[tuple[str, str]]:
    instructions = dockerfile()
    last = max(n for n, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[last:]


def copied() -> Iterator[str]:
    for name, arguments in dockerfile():
        if name == "COPY" and "--from=" not in arguments:
            yield from (source for source in arguments.split()[:-1])


def test_the_image_copies_what_exists_and_reaches_the_build() -> None:
    rules = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line]
    for source in copied():
        assert (ROOT / source).exists(), source
        decided = [rule for rule in rules if fnmatch.fnmatch(source, rule.lstrip("!"))]
        assert decided[-1].startswith("!"), f".dockerignore keeps {source} out"


def test_the_image_copies_all_that_the_wheel_is_made_of() -> None:
    included = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["include"]
    parts = [part.strip("/") for part in included]
    assert {*parts, PROJECT["project"]["readme"], "LICENSE", "pyproject.toml"} <= set(copied())


def test_the_image_is_pinned_and_runs_as_nobody_in_particular() -> None:
    bases = [arguments.split()[0] for name, arguments in dockerfile() if name == "FROM"]
    assert bases == ["${BASE}"] * 2
    name, base = dockerfile()[0]
    assert (name, base[:5]) == ("ARG", "BASE=")
    assert re.fullmatch(r"python:3\.\d+\.\d+-slim-\w+(@sha256:[0-9a-f]{64})?", base[5:]), base
    stage = final_stage()
    users = [arguments for name, arguments in stage if name == "USER"]
    assert users == ["10001:10001"]


def test_nothing_runs_while_the_final_stage_is_made() -> None:
    """So that it needs no shell, and is made for other machines without emulating them."""
    assert not any(name == "RUN" for name, _ in final_stage())


def test_the_image_says_what_it_is() -> None:
    (labels,) = [arguments for name, arguments in final_stage() if name == "LABEL"]
    for label in ("title", "description", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{label}=" in labels
    assert f'licenses="{PROJECT["project"]["license"]}"' in labels
    arguments = dict(text.split("=") for name, text in final_stage() if name == "ARG")
    assert arguments["VERSION"] == __version__


def test_the_image_sets_settings_that_exist_and_exposes_their_ports() -> None:
    stage = final_stage()
    pairs = [pair for name, arguments in stage if name == "ENV" for pair in arguments.split()]
    values = dict(pair.split("=", 1) for pair in pairs)
    assert {name for name in values if name.startswith(PREFIX)} <= VARIABLES
    (exposed,) = [arguments for name, arguments in stage if name == "EXPOSE"]
    assert exposed.split() == [values["GATEWAY_PORT"], values["GATEWAY_OPS_PORT"]]
    defaults = Settings()
    assert exposed.split() == [str(defaults.port), str(defaults.ops_port)]
    assert values["GATEWAY_HOST"] == values["GATEWAY_OPS_HOST"] == "0.0.0.0"


def test_the_image_keeps_its_data_in_the_volume() -> None:
    stage = dict(final_stage())
    defaults = Settings()
    files = (defaults.database_url.removeprefix("sqlite:///"), defaults.pepper_file)
    for file in (*files, defaults.simulator_log):
        assert f"{stage['WORKDIR']}/{file}".startswith(stage["VOLUME"] + "/")


def test_the_image_tells_its_health_by_readiness() -> None:
    (check,) = [arguments for name, arguments in final_stage() if name == "HEALTHCHECK"]
    command = yaml.safe_load(check.split("CMD", 1)[1])
    assert command == ["python", "-m", "gateway.cli.health"]
    assert find_spec(command[-1]) is not None


@pytest.fixture(scope="module")
def services() -> dict[str, Any]:
    services: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
    return services


def test_the_services_are_the_gateway_its_stores_and_a_migration(services: dict[str, Any]) -> None:
    assert services.keys() == {"gateway", "migrate", "postgres", "redis"}
    assert services["migrate"]["command"] == ["migrate"]
    assert services["gateway"]["depends_on"]["migrate"] == {
        "condition": "service_completed_successfully"
    }
    for name in ("postgres", "redis"):
        assert services[name]["healthcheck"]["test"]
        assert re.search(r":\d+\.\d+", services[name]["image"])


def test_the_services_get_settings_that_exist(services: dict[str, Any]) -> None:
    for service in services.values():
        names = {name for name in service.get("environment", {}) if name.startswith(PREFIX)}
        assert names <= VARIABLES


def test_the_services_are_published_on_loopback_only(services: dict[str, Any]) -> None:
    published = [port for service in services.values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_secrets_come_from_the_environment_and_the_example_names_each() -> None:
    text = (ROOT / "compose.yaml").read_text()
    used = set(re.findall(r"\$\{(\w+)", text))
    example = (ROOT / ".env.example").read_text()
    assert used == set(re.findall(r"^(\w+)=$", example, re.MULTILINE))
    assert re.search(r"GATEWAY_PEPPER: \$\{GATEWAY_PEPPER:\?", text)
    assert ":${POSTGRES_PASSWORD:?" in text


def make(*arguments: str) -> str:
    command = ["make", "--no-print-directory", "--dry-run", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("target", ["install", "run", "test", "lint", "docs"])
def test_a_changed_requirement_is_installed_first(target: str) -> None:
    assert "scripts/install" in make("--what-if=requirements.txt", target).splitlines()[1]


def test_make_test_runs_every_check() -> None:
    commands = make("test")
    order = [commands.index(part) for part in ("ruff check", "mypy", "sdks.py", "ocr.py", "pytest")]
    assert order == sorted(order)


def test_make_help_tells_of_every_target() -> None:
    makefile = (ROOT / "Makefile").read_text()
    (phony,) = re.findall(r"^\.PHONY: (.*)$", makefile, re.MULTILINE)
    asked = ["make", "--no-print-directory", "help"]  # `make test` runs this inside of make
    done = subprocess.run(asked, cwd=ROOT, capture_output=True, text=True, check=True)
    assert [line.split()[1] for line in done.stdout.splitlines()] == phony.split()


def test_ci_runs_make_test() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert script.read_text().splitlines()[-1].endswith("make --no-print-directory test")
