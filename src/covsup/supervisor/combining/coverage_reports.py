"""coverage.py's reports that other programs read, under the names that they look for."""

from __future__ import annotations

import os
import warnings

from covsup.datafile.errors import CovsupError
from covsup.hints import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Final

REPORTS: Final[Mapping[str, str]] = {
    "lcov": "lcov.info",
    "xml": "coverage.xml",
    "json": "coverage.json",
}
"""By the name of coverage.py's command: the name of the file."""


class ReportFailed(CovsupError):
    """coverage.py could not make a report: there is no data yet, or its settings are wrong."""


def write_report(kind: str, data_file: Path, out: Path, config_file: str | bool) -> None:
    """Write the report `kind` of a data file to `out`, in one step. Raises ReportFailed.

    Files without a source that can be parsed are left out. `config_file` is coverage.py's.
    """
    from coverage import Coverage  # slow to import
    from coverage.exceptions import CoverageException

    temporary = out.with_name(f".covsup-{os.getpid()}-{os.urandom(4).hex()}-{out.name}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the files that are left out
            coverage = Coverage(data_file=str(data_file), config_file=config_file)
            coverage.load()
            make = getattr(coverage, f"{kind}_report")
            make(outfile=str(temporary), ignore_errors=True)
        temporary.replace(out)
    except CoverageException as error:
        raise ReportFailed(f"coverage.py cannot make {out.name}: {error}") from error
    except OSError as error:
        raise ReportFailed(f"cannot write {out}: {error.strerror or error}") from error
    finally:
        temporary.unlink(missing_ok=True)
