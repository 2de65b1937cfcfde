"""After the call: what a log tells. Nothing of the live path imports it.

::

    log -> LogReader -> LogEvent ... -> CallAccounts -> Call -> overview, check, CallRow
           shapes       the neutral     one pass                what is asked of it
           spelling     stream     \\
                                    -> timeline

``compare_calls`` holds calls against others, ``assess`` a recording against what was said.
``read_call`` makes a ``Call`` of any log, ours or a plain Realtime log, in constant memory but for the turns.
"""

from __future__ import annotations

from voxpipe.analysis.call import Call, read_call
from voxpipe.analysis.checks import check, faults, passed
from voxpipe.analysis.comparison import CallFacts, Comparison, compare_calls
from voxpipe.analysis.events import LogEvent
from voxpipe.analysis.junit import junit_report
from voxpipe.analysis.overview import latencies, overview_of
from voxpipe.analysis.quality import Quality, assess
from voxpipe.analysis.reader import LogReader
from voxpipe.analysis.rows import CallRow, Totals
from voxpipe.analysis.slo import Slo, load_slo, slo_template
from voxpipe.analysis.timeline import timeline_of
from voxpipe.analysis.verdict import CLASSIC_FAULTS, Verdict

__all__ = [
    "CLASSIC_FAULTS",
    "Call",
    "CallFacts",
    "CallRow",
    "Comparison",
    "LogEvent",
    "LogReader",
    "Quality",
    "Slo",
    "Totals",
    "Verdict",
    "assess",
    "check",
    "compare_calls",
    "faults",
    "junit_report",
    "latencies",
    "load_slo",
    "overview_of",
    "passed",
    "read_call",
    "slo_template",
    "timeline_of",
]
