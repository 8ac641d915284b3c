"""Large libraries and models, imported and loaded without a search for garbage. Knows none of them."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_garbage() -> Iterator[None]:
    """While it lasts, nothing is searched for garbage.

    Importing torch and transformers makes a million objects that stay. Python searches all of them again each time
    that a quarter more has come, which takes a fifth of the time.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
