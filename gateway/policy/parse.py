"""Policy files → the Policy, or every Problem with file and line. Pure.

text ──document──▶ nodes ──format──▶ rows ──bundle──▶ one bundle ──checks──▶ build ──▶ Policy
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from gateway.policy.build import build_policy
from gateway.policy.bundle import merge
from gateway.policy.checks import check_bundle
from gateway.policy.document import read_document
from gateway.policy.format import policy_file
from gateway.policy.policy import Policy, Problem
from gateway.policy.problems import Findings, Place
from gateway.policy.redaction import Examine, Lacks, check_redaction, lacks_nothing, unexamined

FILES_MAX = 1000
FOLDER = Place(".", 0)
"""Where problems of the bundle as a whole are."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """`policy` is None where there is an error; `problems` are by file and line, warnings and notes
    included."""

    policy: Policy | None
    problems: tuple[Problem, ...]


def parse(
    files: Mapping[str, bytes],
    entities: frozenset[str],
    environ: Mapping[str, str],
    examine: Examine = unexamined,
    lacks: Lacks = lacks_nothing,
) -> Parsed:
    """One Policy out of all files (name → content).

    `entities` are what the detector can look for; `examine` tries recognizers, `lacks` knows what
    this machine cannot do. `environ` is only looked at: whether the variables of upstreams are set,
    and whether a URL in one is usable. Never raises."""
    findings = Findings()
    if not 0 < len(files) <= FILES_MAX:
        findings.error(
            FOLDER,
            f"found {len(files)} policy files; write one to {FILES_MAX} that end in .yaml or .yml",
        )
        return Parsed(None, findings.in_order())
    table = policy_file(entities)
    documents = [read_document(name, files[name], findings) for name in sorted(files)]
    rows = [table.read("a policy", d, findings) for d in documents if d is not None]
    bundle = merge((row for row in rows if row is not None), findings)
    if None not in documents:  # else names that are missing may stand in what could not be read
        if not any(row and row.wrote("organizations") for row in rows):
            findings.error(FOLDER, "there is no organization; write one under `organizations:`")
        check_bundle(bundle, environ, findings)
        check_redaction(bundle, entities, examine, lacks, findings)
    policy = None if findings.failed else build_policy(bundle, digest_of(files))
    return Parsed(policy, findings.in_order())


def digest_of(files: Mapping[str, bytes]) -> str:
    """The first 12 hex digits of SHA-256 over names and contents, each after its length."""
    digest = hashlib.sha256()
    for name in sorted(files):
        for part in (name.encode("utf-8", "surrogateescape"), files[name]):
            digest.update(len(part).to_bytes(8, "big"))
            digest.update(part)
    return digest.hexdigest()[:12]
