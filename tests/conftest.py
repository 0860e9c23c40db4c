"""What holds for every test."""

import spacy  # noqa: F401  before the gateway keeps it out: some tests ask Presidio's own engine
from hypothesis import settings

from gateway.backends.ocr_worker import is_installed

# Their own environment has them: test_ocr.py runs them there.
collect_ignore = [] if is_installed() else ["ocr"]

# No test is timed: a slow machine makes none fail.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
