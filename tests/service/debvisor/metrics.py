"""Counts requests, in Prometheus' text format."""

import threading
from collections import Counter

#: Narrow where pages usually are, so that a quantile is more than a guess.
BUCKETS = (0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.02, 0.025, 0.03, 0.04, 0.05, 0.075, 0.1, 0.25, 0.5, 1.0, 2.5)


class Metrics:
    """Requests by status and a histogram of their times."""

    def __init__(self, version: str):
        self._version = version
        self._lock = threading.Lock()
        # There from the start: who looks at growth does not see a counter's first step from nothing.
        self._requests: Counter[int] = Counter({200: 0, 303: 0, 500: 0, 503: 0})
        self._buckets: Counter[float] = Counter()
        self._sum = 0.0

    def count(self, status: int, seconds: float) -> None:
        """Takes in one request."""
        with self._lock:
            self._requests[status] += 1
            self._sum += seconds
            for bound in BUCKETS:
                if seconds <= bound:
                    self._buckets[bound] += 1

    def text(self) -> str:
        """All of it."""
        with self._lock:
            total = sum(self._requests.values())
            lines = [
                "# TYPE debvisor_build_info gauge",
                f'debvisor_build_info{{version="{self._version}"}} 1',
                "# TYPE debvisor_requests_total counter",
                *(
                    f'debvisor_requests_total{{status="{status}"}} {count}'
                    for status, count in sorted(self._requests.items())
                ),
                "# TYPE debvisor_request_seconds histogram",
                *(
                    f'debvisor_request_seconds_bucket{{le="{bound}"}} {self._buckets[bound]}'
                    for bound in BUCKETS
                ),
                f'debvisor_request_seconds_bucket{{le="+Inf"}} {total}',
                f"debvisor_request_seconds_sum {self._sum:.6f}",
                f"debvisor_request_seconds_count {total}",
            ]
        return "\n".join(lines) + "\n"
