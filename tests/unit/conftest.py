"""How property tests run: a slow machine must not fail them, so that no example has a time limit of its own."""

from hypothesis import settings

from tests.support.examples import examples

# 100 examples is what Hypothesis tries by itself; `make fuzz` multiplies them here, too.
settings.register_profile("unhurried", examples(100))
settings.load_profile("unhurried")
