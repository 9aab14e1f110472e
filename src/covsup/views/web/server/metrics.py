"""The figures of a page in the formats of Prometheus."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.metrics_core import Metric

    from covsup.views.web.data.figures import Figures


def metrics_text(figures: Figures, accept: str) -> tuple[bytes, str]:
    """The figures as text, and its media type; `accept` is the header of the request."""
    registry = CollectorRegistry()
    registry.register(_Figures(figures))
    encode, media_type = choose_encoder(accept)
    return encode(registry), media_type


class _Figures:
    """A collector of one moment."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Every metric."""
        totals = self._figures.totals
        for name, text, value in (
            ("statements", "Statements in the analysed files.", totals["statements"]),
            ("covered_statements", "Statements that ran.", totals["executed"]),
            ("branches", "Branches in the analysed files.", totals["branches"]),
            ("covered_branches", "Branches that were taken.", totals["taken"]),
            ("coverage_percent", "As coverage.py's report has it.", totals["percent"]),
            ("files", "Measured files.", totals["files"]),
            ("analysed_files", "Files whose statements are known by now.", totals["analysed"]),
        ):
            yield GaugeMetricFamily(f"covsup_{name}", text, value=value)
        yield from self._packages()
        processes = GaugeMetricFamily(
            "covsup_processes", "Process images, by their state.", labels=["state"]
        )
        for state, count in self._figures.processes.items():
            processes.add_metric([state], count)
        yield processes
        yield CounterMetricFamily(
            "covsup_new_lines",
            "Lines that ran for the first time since this server began.",
            value=self._figures.new_lines,
        )
        for name, text, value in (
            ("facts", "Lines and branches that could not be stored.", self._figures.lost_facts),
            ("events", "Events that could not be stored.", self._figures.lost_events),
        ):
            yield GaugeMetricFamily(f"covsup_lost_{name}", text, value=value)

    def _packages(self) -> Iterator[Metric]:
        for name, text, field in (
            ("statements", "Statements of a top-level package.", "statements"),
            ("covered_statements", "Its statements that ran.", "executed"),
            ("branches", "Its branches.", "branches"),
            ("covered_branches", "Its branches that were taken.", "taken"),
        ):
            metric = GaugeMetricFamily(f"covsup_package_{name}", text, labels=["package"])
            for package, sums in self._figures.packages.items():
                metric.add_metric([package], getattr(sums, field))
            yield metric
