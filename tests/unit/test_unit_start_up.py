"""What happens once, when the first call builds the service."""

from __future__ import annotations

import gc

import pytest

from mms_core import wiring


@pytest.mark.parametrize("is_on", [True, False])
@pytest.mark.parametrize("fails", [True, False])
def test_garbage_is_collected_again_as_before_once_the_service_is_built(monkeypatch, is_on, fails):
    """A worker that never collects again grows until the host ends it."""
    seen = []

    def build(*_):
        seen.append(gc.isenabled())
        if fails:
            raise ValueError

    monkeypatch.setattr(wiring, "deployment", lambda: type("Settings", (), {"telemetry_connection": ""}))
    monkeypatch.setattr(wiring, "_parts", build)
    was_on = gc.isenabled()
    try:
        gc.enable() if is_on else gc.disable()
        if fails:
            with pytest.raises(ValueError, match=r"^$"):
                wiring.app.__wrapped__()
        else:
            wiring.app.__wrapped__()
        assert (seen, gc.isenabled()) == ([False], is_on)
    finally:
        gc.enable() if was_on else gc.disable()
