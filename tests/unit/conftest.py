"""How property tests run: a slow machine must not fail them, so that no example has a time limit of its own."""

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
