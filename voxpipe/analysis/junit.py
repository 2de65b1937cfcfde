"""Verdicts as a JUnit report, which CI systems read: a suite a log, a test case a check."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from voxpipe.analysis.legible import legible
from voxpipe.analysis.verdict import FAILS, UNKNOWN, Verdict

NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def junit_report(results: Sequence[tuple[Path, Sequence[Verdict] | str]]) -> bytes:
    """Write the report; a log that could not be read is an error, given by its words in place of verdicts."""
    root = ElementTree.Element("testsuites", name="voxpipe check")
    for path, verdicts in results:
        suite = ElementTree.SubElement(root, "testsuite", name=_text(str(path)))
        if isinstance(verdicts, str):
            _count(suite, 1, 0, 1, 0)
            case = ElementTree.SubElement(suite, "testcase", classname=_text(str(path)), name="the log can be read")
            ElementTree.SubElement(case, "error", message=_text(verdicts))
            continue
        statuses = [verdict.status for verdict in verdicts]
        _count(suite, len(verdicts), statuses.count(FAILS), 0, statuses.count(UNKNOWN))
        for verdict in verdicts:
            _add_case(suite, verdict)
    ElementTree.indent(root)
    report: bytes = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    return report + b"\n"


def _count(suite: ElementTree.Element, tests: int, failures: int, errors: int, skipped: int) -> None:
    numbers = {"tests": tests, "failures": failures, "errors": errors, "skipped": skipped}
    suite.attrib.update({name: str(number) for name, number in numbers.items()})


def _add_case(suite: ElementTree.Element, verdict: Verdict) -> None:
    case = ElementTree.SubElement(suite, "testcase", classname=f"voxpipe.{verdict.group}", name=verdict.name)
    lines = f"lines {', '.join(map(str, verdict.lines))}" if verdict.lines else "no lines"
    if verdict.status == FAILS:
        failure = ElementTree.SubElement(
            case, "failure", message=_text(verdict.evidence), type=verdict.fault or "limit"
        )
        failure.text = _text(f"{verdict.evidence}\n{lines}\n{verdict.advice}")
    elif verdict.status == UNKNOWN:
        ElementTree.SubElement(case, "skipped", message=_text(f"unknown: {verdict.evidence}"))
    else:
        ElementTree.SubElement(case, "system-out").text = _text(f"{verdict.evidence}\n{lines}")


def _text(text: str) -> str:
    """What XML can hold; the rest of Unicode is a fault of the whole file."""
    return NOT_XML.sub("?", "\n".join(legible(line) for line in text.split("\n")))
