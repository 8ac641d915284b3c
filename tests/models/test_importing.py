"""Loading without a search for garbage: afterwards it is searched for as before, however loading ends."""

from __future__ import annotations

import gc

import pytest
from sqljudge.models.importing import no_garbage


@pytest.mark.parametrize("enabled", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_the_collector_is_as_before_afterwards(enabled: bool, fails: bool) -> None:
    before = gc.isenabled()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(OSError) if fails else no_garbage():
            if fails:
                with no_garbage():
                    raise OSError("no such file")
            assert not gc.isenabled()
        assert gc.isenabled() == enabled
    finally:
        (gc.enable if before else gc.disable)()


def test_loads_within_loads() -> None:
    """A model's loading loads its tokenizer: the inner end is not the outer one's."""
    gc.enable()
    with no_garbage():
        with no_garbage():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()
