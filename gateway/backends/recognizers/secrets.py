"""Secrets: API keys that show by their prefix whose they are, JSON Web Tokens, private keys."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator

from gateway.backends.recognizers.finder import STARTED, Finder, Found
from gateway.privacy.spans import WORD_END, word_start


class ApiKey(Finder):
    """Keys in the formats of well-known providers, and this gateway's own.

    Only formats that nothing else has: a secret without a prefix is not found. Each prefix is
    looked for as it is, which is much faster than one pattern for all."""

    ENTITY = "API_KEY"
    _FORMATS = (
        ("sk-proj-", r"[\w-]{20,}+"),  # OpenAI
        ("sk-svcacct-", r"[\w-]{20,}+"),
        ("sk-admin-", r"[\w-]{20,}+"),
        ("sk-ant-", r"[\w-]{20,}+"),  # Anthropic
        ("sk-or-v1-", r"[0-9a-f]{64}+"),  # OpenRouter
        ("sk-", r"[0-9A-Za-z]{8,16}-[\w-]{43}"),  # this gateway
        ("sk-", r"(?=[A-Za-z]{0,40}[0-9])[0-9A-Za-z]{20,}+"),  # OpenAI before 2024, and others
        ("sk_live_", r"[0-9A-Za-z]{16,}+"),  # Stripe
        ("sk_test_", r"[0-9A-Za-z]{16,}+"),
        ("rk_live_", r"[0-9A-Za-z]{16,}+"),
        ("rk_test_", r"[0-9A-Za-z]{16,}+"),
        ("whsec_", r"[0-9A-Za-z+/=]{24,}+"),
        ("ghp_", r"[0-9A-Za-z]{36,}+"),  # GitHub
        ("gho_", r"[0-9A-Za-z]{36,}+"),
        ("ghr_", r"[0-9A-Za-z]{36,}+"),
        ("ghs_", r"[0-9A-Za-z]{36,}+"),
        ("ghu_", r"[0-9A-Za-z]{36,}+"),
        ("github_pat_", r"\w{22,}+"),
        ("glpat-", r"[\w-]{20,}+"),  # GitLab
        ("AKIA", r"[0-9A-Z]{16}"),  # AWS
        ("ASIA", r"[0-9A-Z]{16}"),
        ("AIza", r"[\w-]{35}"),  # Google
        ("xox", r"[abeoprs]-[0-9A-Za-z-]{10,}+"),  # Slack
        ("xapp-", r"[0-9A-Za-z-]{20,}+"),
        ("xai-", r"[0-9A-Za-z]{40,}+"),  # xAI
        ("gsk_", r"[0-9A-Za-z]{40,}+"),  # Groq
        ("hf_", r"[0-9A-Za-z]{34,}+"),  # Hugging Face
        ("npm_", r"[0-9A-Za-z]{36}"),
        ("pypi-AgE", r"[\w-]{50,}+"),
        ("SG.", r"[\w-]{22}\.[\w-]{43}"),  # SendGrid
    )
    _AWS_SECRET = re.compile(
        r"[Aa][Cc][Cc][Ee][Ss][Ss]_?[Kk][Ee][Yy][\"']?\s{0,4}(?:=>|[:=])\s{0,4}[\"']?"
        r"([\w/+]{40})(?![\w/+=])",
        re.ASCII,
    )

    def load(self) -> None:
        self._formats = [
            (lead, re.compile(rf"{word_start()}{re.escape(lead)}{rest}{WORD_END}", re.ASCII))
            for lead, rest in self._FORMATS
        ]

    def find(self, text: str) -> Iterator[Found]:
        for lead, shape in self._formats:
            at = text.find(lead)
            while at >= 0:
                found = shape.match(text, at)
                if found:
                    yield (*found.span(), 1.0)
                at = text.find(lead, found.end() if found else at + 1)
        for found in self._AWS_SECRET.finditer(text):
            yield (*found.span(1), 0.9)


class JsonWebToken(Finder):
    """JSON Web Tokens, signed (RFC 7515) or encrypted (RFC 7516): the header decodes to JSON.

    The pattern takes the whole run of base64url in any case, so that no run is tried twice."""

    ENTITY = "JWT"
    _SHAPE = re.compile(
        rf"e{STARTED}yJ[\w-]*+(\.[\w-]++\.[\w-]*+(?:\.[\w-]*+\.[\w-]*+)?)?", re.ASCII
    )
    _HEADER_MAX = 16_384

    def find(self, text: str) -> Iterator[Found]:
        for found in self._SHAPE.finditer(text):
            if found[1] and self._is_header(text[found.start() : found.start(1)]):
                yield (*found.span(), 1.0)

    def _is_header(self, segment: str) -> bool:
        if len(segment) > self._HEADER_MAX:
            return False
        try:
            header = json.loads(base64.urlsafe_b64decode(segment + "=" * (-len(segment) % 4)))
        except (ValueError, RecursionError):
            return False
        return isinstance(header, dict)


class PrivateKey(Finder):
    """Private keys in PEM (RFC 7468) and OpenPGP's armour, whole or with their end cut off.

    Line ends may be escaped, as they are in JSON and environment files."""

    ENTITY = "PRIVATE_KEY"
    _LABEL = r"[0-9A-Z ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
    _BEGIN = re.compile(f"-----BEGIN {_LABEL}")
    _END = re.compile(f"-----END {_LABEL}")
    _HEADER = re.compile(r"(?:\s|\\[nr\\]){0,20}[A-Za-z-]{1,20}+: [^\r\n\\]{0,100}+")
    _HEADERS_MAX = 4
    _RUN = re.compile(r"""(?:\s|\\[nrt\\]|[,"']){0,200}[0-9A-Za-z+/=]{16,}+""")
    _LAST_RUN = re.compile(rf"(?:[\r\n]|\\[nr\\]){{1,4}}[0-9A-Za-z+/=]{{1,15}}{WORD_END}")

    def find(self, text: str) -> Iterator[Found]:
        if "PRIVATE KEY" in text:
            for begin in self._BEGIN.finditer(text):
                end = self._end_of(text, begin.end())
                if end is not None:
                    yield begin.start(), end, 1.0

    def _end_of(self, text: str, at: int) -> int | None:
        """Behind the END line, if that is the next line of dashes; else as far as the key goes."""
        dashes = text.find("-----", at)
        if dashes >= 0 and (end := self._END.match(text, dashes)):
            return end.end()
        for _ in range(self._HEADERS_MAX):
            if header := self._HEADER.match(text, at):
                at = header.end()
        body = None
        while run := self._RUN.match(text, at):
            body = at = run.end()
        if body is not None and (last := self._LAST_RUN.match(text, body)):
            body = last.end()
        return body
