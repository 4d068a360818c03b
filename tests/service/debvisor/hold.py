"""Places where the service waits for a test, so that the test can do something at exactly that moment."""

import time
from pathlib import Path

PACE = 0.02


def hold(knobs: Path, name: str) -> None:
    """Waits while the knob is there; `NAME-reached` beside it says that somebody waits."""
    knob = knobs / name
    if not knob.exists():
        return
    (knobs / f"{name}-reached").touch()
    while knob.exists():
        time.sleep(PACE)
