"""How ordinary pages behave badly: some fail, all take their time. By a fixed pattern, so that a share is exact."""

import threading

from debvisor.release import Release
from debvisor.settings import Settings

#: Milliseconds that pages take, one after another: mostly 4 to 8, and one in twenty-five stands out.
PATTERN = (4, 6, 5, 8, 7, 4, 5, 6, 7, 5, 4, 8, 12, 5, 7, 4, 6, 5, 7, 8, 6, 4, 5, 7, 6)


class Strain:
    """What the release and this host's knobs ask for."""

    def __init__(self, settings: Settings, release: Release):
        self._settings = settings
        self._release = release
        self._lock = threading.Lock()
        self._asked = 0
        self._owed = 0.0

    def seconds(self) -> float:
        """How long the next page takes at least."""
        factor = float(self._settings.knob("slow-factor") or self._release.slow_factor)
        with self._lock:
            self._asked += 1
            return PATTERN[self._asked % len(PATTERN)] * factor / 1000

    def fails(self, may: bool) -> bool:
        """Whether the next page fails. One that may not leaves its share to the next that may."""
        percent = float(self._settings.knob("error-percent") or self._release.error_percent)
        with self._lock:
            # Hundredths of a request are whole numbers here, so that every twentieth is every twentieth.
            self._owed += percent
            if not may or percent == 0 or self._owed < 100:
                return False
            self._owed -= 100
            return True
