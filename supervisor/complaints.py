"""What is wrong or doubtful with the newest settings, and what of it the log has been told."""

from __future__ import annotations

from collections.abc import Mapping

from job_item.plainlog import PlainLog
from job_item.sign import Sign
from supervisor.reading import Finding


class Complaints:
    """Says each fault once for each time that somebody has written, and each doubt once while it lasts."""

    def __init__(self, log: PlainLog) -> None:
        self._log = log
        self.faults: tuple[Finding, ...] = ()
        self._refused: Mapping[str, Sign] = {}
        """The files with these faults: who saves others with the same ones is told again."""
        self._doubts: tuple[Finding, ...] = ()

    def reject(self, faults: tuple[Finding, ...], files: Mapping[str, Sign], *, is_asked: bool) -> None:
        """These `files` cannot be put in force; `is_asked`: somebody waits for the answer."""
        if is_asked or (faults, files) != (self.faults, self._refused):
            for fault in faults:
                self._log.error("settings.rejected", code=fault.code, at=fault.at, reason=fault.reason)
        self.faults, self._refused = faults, files

    def accept(self) -> None:
        """The newest settings have no fault."""
        self.faults, self._refused = (), {}

    def doubt(self, doubts: tuple[Finding, ...]) -> None:
        """Say what is doubtful in settings that are put in force, but not what the ones before had said already."""
        for doubt in doubts:
            if doubt not in self._doubts:
                self._log.warning("settings.doubted", code=doubt.code, at=doubt.at, reason=doubt.reason)
        self._doubts = doubts
