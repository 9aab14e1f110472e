"""Make the result of a run that has ended. Slow to import: it needs all of combining."""

from __future__ import annotations

from covsup.hints import TYPE_CHECKING
from covsup.supervisor.combining.combine import combine
from covsup.supervisor.combining.locks import report_wait
from covsup.supervisor.settings.combine_settings import CombineSettings

if TYPE_CHECKING:
    from covsup.datafile.session.directory import Session
    from covsup.supervisor.combining.combine_result import CombineResult
    from covsup.supervisor.combining.enclosing_run import EnclosingRun


def combine_run(session: Session, enclosing: EnclosingRun | None) -> CombineResult:
    """Combine the session of a run as its settings say. Raises as `combine` does."""
    return combine(
        [session.path],
        combine_settings=CombineSettings.of_session(session.settings),
        append=session.settings.append,
        ends_run=True,
        enclosing=enclosing,
        on_wait=report_wait,
    )
