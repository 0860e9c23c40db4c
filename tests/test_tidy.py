"""The house rules of docs/internals/architecture.md, held by a machine.

Each test collects everything that breaks one rule and shows all of it as file:line. Imports inside
functions and under TYPE_CHECKING count like any other.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from gateway import __version__

ROOT = Path(__file__).resolve().parent.parent
HOUSE = ROOT / "gateway"

FUNCTION_LINES_MAX = 70
LINE_LENGTH_MAX = 100
FILE_LINES_MAX = 300
TEST_FILE_LINES_MAX = 600

# Which rooms may import what; "backends/" is a folder, "metrics.py" a file. An import that has no
# row here is refused, so that a new dependency gets its room when it arrives.
THIRD_PARTY_ROOMS = {
    "starlette": ("edge/", "simulator/"),
    "uvicorn": ("edge/", "simulator/"),
    "uvloop": ("cli/",),
    "httptools": ("backends/http_reply.py", "edge/connection.py", "edge/parsing.py"),
    "orjson": ("json_text.py",),
    "sqlalchemy": ("backends/",),
    "alembic": ("backends/",),
    "certifi": ("backends/",),
    "presidio_analyzer": (
        "backends/presidio.py",
        "backends/ner_worker.py",
        "backends/ocr_worker.py",
    ),
    "phonenumbers": ("backends/",),
    "regex": ("backends/",),
    "re2": ("backends/",),
    "PIL": ("backends/ocr_worker.py",),
    "presidio_image_redactor": ("backends/ocr_worker.py",),
    "rapidocr": ("backends/ocr_worker.py",),
    "spacy": ("backends/surroundings.py", "backends/ner_worker.py"),
    "tldextract": ("backends/",),
    "redis": ("backends/",),
    "watchfiles": ("backends/",),
    "prometheus_client": ("meters/",),
    "opentelemetry": ("backends/otlp.py", "backends/otlp_metrics.py"),
    "structlog": ("logs/log.py",),
    "yaml": ("policy/document.py",),
    "typer": ("cli/",),
    "rich": ("cli/",),
}

SHARED = ("gateway.errors", "gateway.json_text")
ISLANDS = ("keys", "quota", "privacy", "usage", "openai")

# What the parts of the house may import of it; rooms that are not named are free, but for the
# direction that the other tests hold.
ROOMS_MAY_IMPORT = {
    **{island: (*SHARED, f"gateway.{island}") for island in ISLANDS},
    "policy": (*SHARED, "gateway.policy", *(f"gateway.{island}" for island in ISLANDS)),
}

# Names, or how they begin. Durations on the event loop (`loop.time`) are free everywhere.
WALL_CLOCK = (
    "time.time",
    "time.localtime",
    "time.gmtime",
    "time.ctime",
    "time.strftime",
    "datetime.datetime.now",
    "datetime.datetime.utcnow",
    "datetime.datetime.today",
    "datetime.date.today",
)
# A log line says when it was said.
WALL_CLOCK_ROOMS = ("app.py", "cli/", "simulator/", "logs/log.py")

STOPWATCH = ("time.monotonic", "time.perf_counter", "time.process_time")
STOPWATCH_ROOMS = ("app.py", "cli/", "simulator/", "edge/")

ENVIRONMENT = ("os.environ", "os.getenv", "os.putenv")
ENVIRONMENT_ROOMS = ("settings.py", "backends/ner_worker.py")  # that one only writes, for libraries

CHANCE = ("random.", "secrets.token_", "secrets.choice", "secrets.rand", "uuid.uuid", "os.urandom")
CHANCE_ROOMS = ("app.py", "cli/", "simulator/", "backends/pepper_file.py")

CATCH_ALL_ROOM = "edge/"

NAMES_REFUSED = re.compile(r"(^|_)(utils?|common|helpers?|managers?|misc)(_|$)|_v\d+$")
CLASSES_REFUSED = re.compile(r"(Utils?|Helpers?|Manager)$")


@dataclass(frozen=True)
class Source:
    """One Python file, parsed. `room` is its path inside gateway/, or inside the checkout."""

    path: Path
    room: str
    text: str
    tree: ast.Module

    @property
    def module(self) -> str:
        parts = ["gateway", *Path(self.room).with_suffix("").parts]
        return ".".join(part for part in parts if part != "__init__")

    def at(self, line: int, what: str = "") -> str:
        return f"{self.path.relative_to(ROOT)}:{line} {what}".rstrip()

    def lies_in(self, rooms: tuple[str, ...]) -> bool:
        return any(
            self.room.startswith(room) if room.endswith("/") else self.room == room
            for room in rooms
        )


def parse(path: Path, base: Path) -> Source:
    text = path.read_text(encoding="utf-8")
    return Source(path, path.relative_to(base).as_posix(), text, ast.parse(text, str(path)))


@cache
def house() -> tuple[Source, ...]:
    return tuple(parse(path, HOUSE) for path in sorted(HOUSE.rglob("*.py")))


@cache
def everything() -> tuple[Source, ...]:
    folders = ("tests", "scripts", "migrations")
    others = (p for folder in folders for p in sorted((ROOT / folder).rglob("*.py")))
    return house() + tuple(parse(path, ROOT) for path in others)


@cache
def modules() -> frozenset[str]:
    return frozenset(source.module for source in house())


def imports(source: Source) -> Iterator[tuple[str, int]]:
    """Every module that is imported, with its line; `from a import b` is a.b where that is one."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = absolute(source, node)
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                yield (inner if inner in modules() else base), node.lineno
        elif isinstance(node, ast.Call) and name_of(node.func) in IMPORTERS and node.args:
            target = node.args[0]
            known = isinstance(target, ast.Constant) and isinstance(target.value, str)
            yield (target.value if known else "a computed name"), node.lineno


IMPORTERS = frozenset({"importlib.import_module", "import_module", "__import__"})


def absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.module.split(".")
    if not source.room.endswith("__init__.py"):
        package = package[:-1]
    package = package[: len(package) - (node.level - 1)]
    return ".".join([*package, *([node.module] if node.module else [])])


def name_of(node: ast.AST) -> str:
    """The dotted name of an expression, or nothing."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        base = name_of(node.value)
        return f"{base}.{node.attr}" if base else ""
    return ""


def references(source: Source) -> Iterator[tuple[str, int]]:
    """Every dotted name that begins with an import, as its full name: `t.time` → `time.time`."""
    full: dict[str, str] = {}
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                first = alias.name.split(".")[0]
                full[alias.asname or first] = alias.name if alias.asname else first
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            for alias in node.names:
                full[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name | ast.Attribute):
            first, _, rest = name_of(node).partition(".")
            if first in full:
                yield (f"{full[first]}.{rest}" if rest else full[first]), node.lineno


def functions(source: Source) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


def referring(names: tuple[str, ...], rooms: tuple[str, ...]) -> list[str]:
    """Where code outside of the rooms refers to one of the names, or to one that begins so."""
    return sorted(
        {
            source.at(line, name)
            for source in house()
            if not source.lies_in(rooms)
            for name, line in references(source)
            if name.startswith(names)
        }
    )


def importing(package: str, rooms: tuple[str, ...]) -> list[str]:
    return [
        source.at(line, name)
        for source in house()
        if not source.lies_in(rooms)
        for name, line in imports(source)
        if is_within(name, package)
    ]


def assert_none(wrong: list[str]) -> None:
    assert not wrong, "\n" + "\n".join(wrong)


def test_functions_files_and_lines_are_of_a_size_to_read() -> None:
    wrong = []
    for source in everything():
        lines = source.text.splitlines()
        in_tests = source.path.is_relative_to(ROOT / "tests")
        bound = TEST_FILE_LINES_MAX if in_tests else FILE_LINES_MAX
        if len(lines) > bound:
            wrong.append(source.at(len(lines), f"file: {len(lines)} lines, room for {bound}"))
        wrong += [
            source.at(number, f"line: {len(line)} characters, room for {LINE_LENGTH_MAX}")
            for number, line in enumerate(lines, 1)
            if len(line) > LINE_LENGTH_MAX and not line.endswith("# noqa: E501")  # a quotation
        ]
        for node in functions(source):
            size = (node.end_lineno or node.lineno) - node.lineno + 1
            if size > FUNCTION_LINES_MAX:
                bound = FUNCTION_LINES_MAX
                wrong.append(source.at(node.lineno, f"{node.name}: {size} lines, room for {bound}"))
    assert_none(wrong)


def test_third_party_packages_are_imported_in_their_rooms_only() -> None:
    wrong = []
    for source in house():
        for name, line in imports(source):
            package = name.split(".")[0]
            if package in sys.stdlib_module_names or package == "gateway":
                continue
            rooms = THIRD_PARTY_ROOMS.get(package, ())
            if not source.lies_in(rooms):
                where = ", ".join(rooms) or "nowhere: give it a row in THIRD_PARTY_ROOMS"
                wrong.append(source.at(line, f"imports {package}, which belongs in {where}"))
    assert_none(wrong)


def test_every_room_of_a_third_party_package_needs_it() -> None:
    used = {
        (name.split(".")[0], room)
        for source in house()
        for name, _ in imports(source)
        for room in THIRD_PARTY_ROOMS.get(name.split(".")[0], ())
        if source.lies_in((room,))
    }
    assert_none(
        [
            f"{package} in {room}"
            for package, rooms in THIRD_PARTY_ROOMS.items()
            for room in rooms
            if (package, room) not in used
        ]
    )


def test_islands_and_policy_import_only_what_lies_below_them() -> None:
    wrong = [
        source.at(line, f"imports {name}")
        for source in house()
        for name, line in imports(source)
        if (below := ROOMS_MAY_IMPORT.get(source.room.split("/")[0]))
        and is_within(name, "gateway")
        and not any(is_within(name, package) for package in below)
    ]
    assert_none(wrong)


def test_backends_are_chosen_by_the_app_and_the_commands_only() -> None:
    wiring = (
        "app.py",
        "accounts.py",
        "accounts_shared.py",
        "detection.py",
        "retention.py",
        "telemetry.py",
    )
    assert_none(importing("gateway.backends", (*wiring, "cli/", "backends/")))


def test_the_edge_is_known_to_the_app_and_the_commands_only() -> None:
    assert_none(importing("gateway.edge", ("app.py", "cli/", "edge/", "simulator/")))


def test_errors_and_settings_import_nothing_of_the_house() -> None:
    settings = (
        "settings.py",
        "edge_settings.py",
        "telemetry_settings.py",
        "setting_kinds.py",
        "cores.py",
    )
    wrong = [
        source.at(line, f"imports {name}")
        for source in house()
        if source.room in ("errors.py", *settings)
        for name, line in imports(source)
        if is_within(name, "gateway") and name.removeprefix("gateway.") + ".py" not in settings[1:]
    ]
    assert_none(wrong)


def test_imports_are_absolute_and_never_computed() -> None:
    relative = [
        source.at(node.lineno)
        for source in everything()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    computed = [s.at(line) for s in house() for name, line in imports(s) if " " in name]
    assert_none(relative + computed)


def test_imports_point_one_way() -> None:
    graph = {
        source.module: {n for n, _ in imports(source) if n in modules() and n != source.module}
        for source in house()
    }
    before = None
    while before != graph:  # what imports nothing of the rest, or is not imported, is on no cycle
        before = graph
        imported = set().union(*graph.values())
        graph = {m: below & graph.keys() for m, below in graph.items() if below and m in imported}
    assert_none([f"{module} imports {', '.join(sorted(below))}" for module, below in graph.items()])


def test_the_wall_clock_is_read_where_now_begins_only() -> None:
    assert_none(referring(WALL_CLOCK, WALL_CLOCK_ROOMS))


def test_stopwatches_are_started_where_requests_are_served_only() -> None:
    assert_none(referring(STOPWATCH, STOPWATCH_ROOMS))


def test_chance_is_an_argument() -> None:
    assert_none(referring(CHANCE, CHANCE_ROOMS))


def test_the_environment_is_read_in_settings_only() -> None:
    assert_none(referring(ENVIRONMENT, ENVIRONMENT_ROOMS))


def catches_everything(node: ast.AST) -> bool:
    """A handler or a `suppress` of everything. One that ends by raising again catches nothing."""
    if isinstance(node, ast.ExceptHandler):
        last = node.body[-1]
        passes_on = isinstance(last, ast.Raise) and last.exc is None
        caught = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
        return not passes_on and any(
            kind is None or name_of(kind) in ("Exception", "BaseException") for kind in caught
        )
    if isinstance(node, ast.Call) and name_of(node.func).split(".")[-1] == "suppress":
        return any(name_of(kind) in ("Exception", "BaseException") for kind in node.args)
    return False


def test_one_place_catches_everything_and_it_is_at_the_edge() -> None:
    places = [
        (source, source.at(node.lineno))
        for source in house()
        for node in ast.walk(source.tree)
        if catches_everything(node)
    ]
    assert len(places) == 1, [at for _, at in places]
    assert places[0][0].room.startswith(CATCH_ALL_ROOM), places[0][1]


def test_nothing_is_left_to_be_implemented() -> None:
    wrong = [
        source.at(node.lineno)
        for source in house()
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Name) and node.id == "NotImplementedError"
    ]
    assert_none(wrong)


def test_names_say_what_a_thing_is() -> None:
    wrong = [
        source.at(1, part)
        for source in everything()
        for part in Path(source.room).with_suffix("").parts
        if NAMES_REFUSED.search(part)
    ]
    for source in house():
        for node in ast.walk(source.tree):
            if isinstance(node, ast.ClassDef) and CLASSES_REFUSED.search(node.name):
                wrong.append(source.at(node.lineno, node.name))
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                wrong += [source.at(node.lineno, node.name)] * bool(NAMES_REFUSED.search(node.name))
    assert_none(wrong)


IMPORT_EVERYTHING = """
import importlib, sys

house, names = sys.argv[1], sys.argv[2:]
acts = ("socket.", "subprocess.", "sqlite3.", "os.mkdir", "os.remove", "os.rename", "os.listdir")
seen = set()

def is_ours(frame):
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        if frame.f_code.co_filename.startswith(house):
            return True
        frame = frame.f_back
    return False

def watch(event, args):
    writes = event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+")
    if writes or event in ("socket.connect", "subprocess.Popen"):
        seen.add(f"{event} {args}")
    if event.startswith(("open", *acts)) and is_ours(sys._getframe(1)):
        seen.add(f"{event} {args}")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
for name in names:
    importlib.import_module(name)
sys.stderr.write("\\n".join(sorted(seen)))
"""


def test_an_import_reads_writes_connects_and_starts_nothing(tmp_path: Path) -> None:
    """Our own import-time code opens no file at all; what it imports may read, but not write."""
    names = sorted(module for module in modules() if not module.endswith("__main__"))
    done = subprocess.run(
        [sys.executable, "-c", IMPORT_EVERYTHING, str(HOUSE), *names],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == []


def test_packages_are_folders_and_their_init_files_empty() -> None:
    filled = [
        source.at(1)
        for source in house()
        if source.room.endswith("/__init__.py") and source.text.strip()
    ]
    without = sorted(
        str(folder.relative_to(ROOT))
        for folder in {source.path.parent for source in house()}
        if not (folder / "__init__.py").exists()
    )
    assert_none(filled + without)


@cache
def tracked() -> tuple[Path, ...]:
    """The files of the checkout: what git knows, or would take with `git add`."""
    if not (ROOT / ".git").exists():
        pytest.skip("not a git checkout, so nothing tells the project's files from others")
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return tuple(path for name in listed if (path := ROOT / name).is_file())


def lines_with(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path.relative_to(ROOT)}:{number} {found.group()}"
        for path in tracked()
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
        if (found := pattern.search(line))
    ]


def test_no_file_names_the_host_of_a_package_registry() -> None:
    names = ("py" + "pi", "python" + "hosted", "npm" + "js", "deb" + "ian", "crates", "rubygems")
    assert_none(lines_with(re.compile(rf"(?i)\b({'|'.join(names)})\.(org|com|io|net)\b")))


def test_no_file_names_a_path_of_the_machine_that_it_was_written_on() -> None:
    places = "|".join(("wo" + "rk", "ro" + "ot", "ho" + "me", "tm" + "p/scratch", "o" + "pt/py"))
    assert_none(lines_with(re.compile(rf"(?<![\w.~-])/({places})(/|\b(?![-.\w]))")))


def test_the_changelog_has_an_entry_for_this_version() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## \[{re.escape(__version__)}\]", changelog, re.MULTILINE)
