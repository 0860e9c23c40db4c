"""Write the pages of docs/reference/, and the schema of policy files, that follow from the code.

    python scripts/reference.py          (`make docs`)

tests/test_docs.py compares the pages with what this would write.
"""

from __future__ import annotations

import ast
import enum
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

import chart_reference
from gateway import errors
from gateway.backends.entities import SELECTABLE
from gateway.cli.main import app
from gateway.policy.reference import policy_page
from gateway.policy.schema import schema_text
from gateway.settings import PREFIX, default_of, settings_fields
from metrics_reference import metrics_page

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "docs" / "reference"

MADE = "<!-- Written by `make docs` from {source}. Change that, not this. -->\n\n"

SETTINGS_INTRO = """# Settings

Each setting is an environment variable and a flag of `gateway serve`; a flag wins over the
variable, and an empty variable counts as not set. A value that cannot be used is named with what
would be right, all of them at once, before anything starts (exit code 2).

The environment also holds what policies name: the keys of upstreams (`api_key_env`) and their URLs
(`base_url_env`). See [policy](policy.md).
"""

ERRORS_INTRO = """# Errors

Every error is a JSON body as OpenAI's clients know it, with all four keys:

```json
{"error": {"message": "…", "type": "…", "param": null, "code": "…"}}
```

`code` is stable and is what a program should look at; `message` is for people and may change. Every
answer has `x-request-id`, which finds the request in the log and in the usage database. After the
first byte of a stream an error is its last event, with the same body.

A refusal for want of room has `retry-after` and `retry-after-ms` where waiting at most a minute
helps. Where it takes longer, `x-should-retry: false` keeps clients from trying again by themselves.
"""

COMMANDS_INTRO = """# Commands

Tables go to standard output, sentences about what is wrong to standard error. With `--json` a
command prints JSON only.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | the input is wrong, or something that was named does not exist |
| 2 | the command line or a setting is wrong |
| 3 | a database, port or file cannot be used |
"""


def settings_page() -> str:
    parts = [MADE.format(source="gateway/settings.py"), SETTINGS_INTRO]
    for option in settings_fields():
        default = default_of(option)
        parts += [
            f"\n## `{PREFIX}{option.name.upper()}`\n\n{option.metadata['help']}\n\n",
            f"* Flag: `--{option.name.replace('_', '-')}`\n",
            f"* Value: {expected(option.metadata['parse'])}\n",
            f"* Default: {'not set' if default is None else f'`{default}`'}\n",
        ]
        if option.metadata["secret"]:
            parts.append("* Secret: never shown, neither in a log nor in an error.\n")
    return "".join(parts)


def expected(parse: Any) -> str:
    """What a parser asks for, in the words of its own refusal."""
    try:
        parse("")
    except ValueError as error:
        return str(error)
    raise AssertionError("a setting that takes an empty value says nothing about itself")


def errors_page() -> str:
    parts = [MADE.format(source="gateway/errors.py"), ERRORS_INTRO, "\n# By code\n"]
    raised = dict(sorted(raised_codes().items()))
    for code, meaning in errors.CODES.items():
        kinds = sorted({(kind.status, kind.__name__) for kind in raised.get(code, ())})
        statuses = " or ".join(str(status) for status in sorted({status for status, _ in kinds}))
        parts.append(f"\n## `{code}`\n\nHTTP {statuses}. {meaning}\n")
    parts.append("\n# By status\n\n| status | type | kind |\n|---|---|---|\n")
    for kind in sorted(kinds_of_error(), key=lambda kind: kind.status):
        parts.append(f"| {kind.status} | `{kind.type}` | {kind.__name__} |\n")
    return "".join(parts)


def kinds_of_error() -> list[type[errors.ApiError]]:
    return [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type)
        and issubclass(kind, errors.ApiError)
        and kind is not errors.ApiError
    ]


def raised_codes() -> dict[str, set[type[errors.ApiError]]]:
    """Which kinds of error each code is raised as, read off the source.

    Where a call has its code from elsewhere, it may be any that stands in the same module."""
    found: dict[str, set[type[errors.ApiError]]] = {}
    for path in sorted((ROOT / "gateway").rglob("*.py")):
        if path.parent.name == "simulator" or path.name == "errors.py":
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for kind, value in raised_in(tree):
            for code in texts(value) or [text for text in texts(tree) if text in errors.CODES]:
                found.setdefault(code, set()).add(kind)
    return found


def raised_in(tree: ast.Module) -> Iterator[tuple[type[errors.ApiError], ast.expr]]:
    """The calls that make an error with a code; a kind that the module derives is its base."""
    kinds = {kind.__name__: kind for kind in kinds_of_error()}
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for base in node.bases:
                if (name := ast.unparse(base).split(".")[-1]) in kinds:
                    kinds[node.name] = kinds[name]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (
            kind := kinds.get(ast.unparse(node.func).split(".")[-1])
        ):
            yield from ((kind, k.value) for k in node.keywords if k.arg == "code")


def texts(tree: ast.AST) -> list[str]:
    constants = (node.value for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return [value for value in constants if isinstance(value, str)]


def commands_page() -> str:
    parts = [MADE.format(source="gateway/cli/"), COMMANDS_INTRO]
    for name, command in commands():
        arguments = [parameter for parameter in command.params if is_argument(parameter)]
        options = [p for p in command.params if not is_argument(p) and not p.hidden]
        usage = " ".join([name, *(a.name.upper() for a in arguments), "[OPTIONS]" * bool(options)])
        parts.append(f"\n## `{name}`\n\n{described(command.help)}\n\n    {usage.strip()}\n")
        if arguments or options:
            parts.append("\n| | default | meaning |\n|---|---|---|\n")
        parts += [row(parameter) for parameter in (*arguments, *options)]
    return "".join(parts)


def commands() -> Iterator[tuple[str, Any]]:
    """Every command with its full name; of groups, those that do something by themselves."""

    def walk(name: str, command: Any) -> Iterator[tuple[str, Any]]:
        if not hasattr(command, "commands"):
            yield name, command
            return
        if command.invoke_without_command:
            yield name, command
        for inner, below in command.commands.items():
            yield from walk(f"{name} {inner}", below)

    yield from walk("gateway", typer.main.get_command(app))


def is_argument(parameter: Any) -> bool:
    return not parameter.opts[0].startswith("-")


def described(help: str | None) -> str:
    return "\n".join(line.strip() for line in (help or "").strip().splitlines())


def row(parameter: Any) -> str:
    """One line of a command's table."""
    flag = bool(getattr(parameter, "is_flag", False))
    names = [f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts)]
    if is_argument(parameter):
        names = [f"`{parameter.name.upper()}`"]
    elif not flag:
        names[0] = f"`{parameter.opts[0]} {value_of(parameter)}`"
    cells = ", ".join(names), shown_default(parameter), described(parameter.help).replace("\n", " ")
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |\n"


def value_of(parameter: Any) -> str:
    annotation = parameter.type_descriptor.annotation
    if parameter.metavar:
        return str(parameter.metavar)
    if isinstance(annotation, type) and issubclass(annotation, enum.Enum):
        return "|".join(str(member.value) for member in annotation)
    return {int: "N", float: "NUMBER"}.get(annotation, "TEXT")


def shown_default(parameter: Any) -> str:
    default = parameter.default
    if isinstance(parameter.show_default, str):
        default = parameter.show_default
    if parameter.required:
        return "required"
    if isinstance(default, enum.Enum):
        default = default.value
    return "" if default in (None, False, "", (), []) or callable(default) else f"`{default}`"


def pages() -> dict[Path, str]:
    """Every generated file and its text."""
    return {
        REFERENCE / "settings.md": settings_page(),
        REFERENCE / "errors.md": errors_page(),
        REFERENCE / "metrics.md": metrics_page(MADE),
        REFERENCE / "commands.md": commands_page(),
        REFERENCE / "policy.md": policy_page(SELECTABLE),
        ROOT / "policies" / "schema.json": schema_text(SELECTABLE),
        **chart_reference.pages(),
    }


def main() -> None:
    REFERENCE.mkdir(parents=True, exist_ok=True)
    for path, text in pages().items():
        path.write_text(text, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
