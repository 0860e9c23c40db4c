"""What holds for every test."""

from hypothesis import settings

# No test is timed: a slow machine makes none fail.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
