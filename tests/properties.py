"""How many examples hypothesis tries of each property: one place for both lanes."""

from typing import Any

from hypothesis import settings

FULL = 100
"""hypothesis's own number, which a property has that names none."""
FAST = 10


def examples(number: int, **options: Any) -> settings:
    """Return settings for ``number`` examples in the full lane, and a share of them in the fast one."""
    # An explicit max_examples wins over the profile of a lane, so the share is applied here.
    return settings(max_examples=max(1, number * settings().max_examples // FULL), **options)


def load_fast_profile() -> None:
    """Try a tenth of the examples; to be called before a test module is imported."""
    settings.register_profile("fast", max_examples=FAST)
    settings.load_profile("fast")
