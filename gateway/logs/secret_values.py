"""The secrets that this process was given, so that what it prints can be searched for them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import unquote

from gateway.settings import Settings, settings_fields

LENGTH_MIN = 6  # shorter ones are words that stand in any sentence
_TELLING = re.compile(r"KEY|TOKEN|SECRET|PASSW|PEPPER|CREDENTIAL", re.IGNORECASE)
_IN_URL = re.compile(r"^[\w+.-]+://[^/?#@:]*:([^/?#@]+)@")


def secret_values(settings: Settings, environ: Mapping[str, str]) -> tuple[str, ...]:
    """The longest first: secret settings, variables that are called like one (a policy names those
    of its upstreams), and passwords in URLs, as they are written and as they are meant."""
    secret = [
        str(getattr(settings, one.name)) for one in settings_fields() if one.metadata["secret"]
    ]
    urls = [value for value in (*secret, *environ.values()) if "://" in value]
    named = [value for name, value in environ.items() if _TELLING.search(name)]
    passwords = [found[1] for url in urls if (found := _IN_URL.match(url))]
    whole = [value for value in secret if "://" not in value and value != "None"]
    values = {*named, *whole, *passwords, *map(unquote, passwords)}
    return tuple(sorted((v for v in values if len(v) >= LENGTH_MIN), key=lambda v: (-len(v), v)))
