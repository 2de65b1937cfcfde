"""The commands for the person with a bad call, as processes: output, files and exit status."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import attrs
import pytest
from command import COMMAND, ENVIRON, run
from faulty_logs import no_transcription, plain, server_error
from plain_log import PlainLog, conversation, ga_session
from virtual_call import HELLO_AND_WAIT, CallMaker

from voxpipe.analysis.checks import CHECKS
from voxpipe.analysis.slo import Slo, load_slo, slo_template
from voxpipe.errors import ConfigError


@pytest.fixture
def good(tmp_path: Path) -> Path:
    """A plain log of a good call."""
    return conversation(plain()).write(tmp_path / "good.jsonl")


@pytest.fixture
def bad(tmp_path: Path) -> Path:
    """A plain log of a call without transcription."""
    return no_transcription().write(tmp_path / "bad.jsonl")


def test_analyze_tells_a_call(good: Path) -> None:
    """Every section is there, in words that a search finds, and what the log does not tell is unknown."""
    done = run("analyze", good)
    assert done.returncode == 0
    assert done.stderr == ""
    for words in (
        "plain (event_type)",
        "slin24: 16-bit linear, little-endian, 24000 Hz",
        "silence_duration_ms 500",
        "whisper-1",
        "gateway to provider",
        "good day",
        "420.0",
        "150  ",
        "unknown",
    ):
        assert words in done.stdout, words
    assert "\x1b" not in done.stdout


def test_analyze_gives_json_to_machines(good: Path) -> None:
    """One object, with requested beside confirmed, flows, turns, latencies and tokens; null for what is unknown."""
    data = json.loads(run("analyze", good, "--json").stdout)
    assert data["session"]["requested"]["uplink"] == data["session"]["confirmed"]["uplink"]
    assert data["session"]["confirmed"]["uplink"]["byte_order"] == "little-endian"
    assert [flow["name"] for flow in data["audio"]["flows"] if flow["chunks"]] == [
        "gateway to provider",
        "provider to gateway",
    ]
    assert [turn["speaker"] for turn in data["turns"]] == ["caller", "agent"] * 5
    assert data["turns"][0]["transcript"] == "hello"
    assert data["latencies_ms"]["first_audio"]["median_ms"] == 420.0
    assert data["latencies_ms"]["turn"] == {
        "count": 0,
        "unknown": 5,
        "median_ms": None,
        "p95_ms": None,
        "max_ms": None,
    }
    assert data["tokens"]["sums"] == {"input_tokens": 50, "output_tokens": 100, "total_tokens": 150}


async def test_a_folder_gives_a_row_a_call_and_totals(
    make_call: CallMaker, autojump_clock: Any, tmp_path: Path, good: Path
) -> None:
    """Ours and plain ones side by side, the gateway's own log left out; totals are of turns, unknowns are counted."""
    call = await make_call(HELLO_AND_WAIT)
    assert call.outcome.log is not None
    folder = tmp_path / "calls"
    folder.mkdir()
    shutil.copy(call.outcome.log, folder / "ours.jsonl")
    shutil.copy(good, folder / "plain.jsonl")
    (folder / "gateway-1.jsonl").write_text("not looked at\n")
    done = run("analyze", folder)
    assert done.returncode == 0, done.stderr
    assert "ours.jsonl" in done.stdout
    assert "2 calls" in done.stdout
    assert "gateway-1" not in done.stdout
    data = json.loads(run("analyze", folder, "--json").stdout)
    assert [Path(one["log"]["path"]).name for one in data["calls"]] == ["ours.jsonl", "plain.jsonl"]
    totals = data["totals"]
    assert (totals["calls"], totals["caller_turns"], totals["agent_turns"]) == (2, 6, 6)
    assert totals["answer"]["count"] == 6
    assert totals["turn"]["unknown"] == 5
    assert totals["unknown_losses"] == 1
    assert data["unreadable"] == {}


def test_one_bad_log_does_not_hide_the_others(tmp_path: Path, good: Path) -> None:
    """It is named on standard error, the others are told, and the status is 1."""
    (tmp_path / "broken.jsonl").write_text("{}\n")
    done = run("analyze", tmp_path)
    assert done.returncode == 1
    assert "broken.jsonl: line 1: expected the keys timestamp" in done.stderr
    assert "good.jsonl" in done.stdout
    assert "1 calls" in done.stdout


UNUSABLE = [
    ([], "LOG: expected a log or a folder of logs, got none"),
    (["none.jsonl"], "none.jsonl: expected a log, found no file"),
    (["empty"], "empty: expected logs of calls (*.jsonl) in the folder, found none"),
    (["broken.jsonl"], "broken.jsonl: line 2: expected JSON"),
    (["gateway.jsonl"], "gateway.jsonl: expected the log of a call, got that of a gateway"),
]


@pytest.mark.parametrize("command", ["analyze", "check"])
@pytest.mark.parametrize(("args", "words"), UNUSABLE, ids=[words for _, words in UNUSABLE])
def test_what_is_no_log_is_refused(tmp_path: Path, command: str, args: list[str], words: str) -> None:
    """Status 2, one line that names the file and the line, no traceback."""
    (tmp_path / "empty").mkdir()
    log = PlainLog()
    log.add("connection.opened")
    (tmp_path / "broken.jsonl").write_bytes(log.lines[0] + b"{oh\n" + log.lines[0])
    (tmp_path / "gateway.jsonl").write_bytes(log.lines[0].replace(b"connection.opened", b"gateway.started"))
    done = run(command, *args, cwd=tmp_path)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_lenient_skips_and_counts(tmp_path: Path) -> None:
    """The overview says how many lines were skipped, and the check of the log fails."""
    log = conversation(plain())
    path = tmp_path / "broken.jsonl"
    path.write_bytes(b"".join([log.lines[0], b"{oh\n", *log.lines[1:]]))
    done = run("analyze", path, "--lenient")
    assert done.returncode == 0
    assert "1 lines skipped: line 2: expected JSON" in done.stdout
    done = run("check", path, "--lenient")
    assert done.returncode == 1
    assert "1 lines are no records" in done.stdout


def test_check_gates(good: Path, bad: Path) -> None:
    """Status 0 and the whole list for a good call; 1 for a bad one, with the fault, its lines and what to do."""
    done = run("check", good)
    assert done.returncode == 0, done.stdout
    assert "0 fail" in done.stdout
    done = run("check", bad)
    assert done.returncode == 1
    assert done.stdout.startswith("missing transcripts: transcription was not configured\n")
    assert "-> set session.transcription.model" in done.stdout
    listed = json.loads(run("check", bad, "--json").stdout)[str(bad)]
    assert listed["passed"] is False
    assert listed["faults"] == ["missing transcripts: transcription was not configured"]
    assert len(listed["verdicts"]) == len(CHECKS)


def test_check_of_several_tells_what_fails(good: Path, bad: Path) -> None:
    """A line for a log in which nothing fails, only the failures of the others."""
    done = run("check", good, bad)
    assert done.returncode == 1
    assert f"{good}: nothing fails" in done.stdout
    assert "holds" not in done.stdout
    assert "transcription: configured" in done.stdout


def test_check_writes_junit(tmp_path: Path, bad: Path) -> None:
    """A suite a log, a case a check: failures with lines and advice, unknown ones skipped."""
    server_error().write(tmp_path / "errors.jsonl")
    (tmp_path / "broken.jsonl").write_text("no log\n")
    report = tmp_path / "report.xml"
    done = run("check", tmp_path, "--junit", report, "--json")
    assert done.returncode == 1
    told = {Path(path).name: judged for path, judged in json.loads(done.stdout).items()}
    assert "expected JSON" in told["broken.jsonl"]["error"]
    assert {judged["passed"] for judged in told.values()} == {False}
    suites = ElementTree.parse(report).getroot().findall("testsuite")
    assert [suite.get("tests") for suite in suites] == [str(len(CHECKS)), str(len(CHECKS)), "1"]
    failures = {case.get("name"): case.find("failure") for case in suites[0] if case.find("failure") is not None}
    assert set(failures) == {"configured", "transcripts arrive"}
    assert "\nlines " in (failures["configured"].text or "")
    assert suites[0].get("failures") == "2"
    assert suites[0].get("skipped") == str(sum(case.find("skipped") is not None for case in suites[0]))
    assert "expected JSON" in (suites[2][0][0].get("message") or "")


def test_limits_come_from_a_file(tmp_path: Path, good: Path) -> None:
    """A limit in [slo] is the one that is held against; the others keep their defaults."""
    slo = tmp_path / "slo.toml"
    slo.write_text("[slo]\nanswer_p95_ms = 100\n")
    done = run("check", good, "--slo", slo)
    assert done.returncode == 1
    assert "expected p95 of at most 100 ms" in done.stdout
    assert "1 fail" in done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[slo]\nanswer_ms = 1\n", "slo.answer_ms: expected one of ack_ms, .* got an unknown key"),
        ('[slo]\nack_ms = "soon"\n', "slo.ack_ms: expected a number, got 'soon'"),
        ("ack_ms = 1\n", r"expected a table \[slo\], got ack_ms"),
        ("[slo\n", "expected a TOML file"),
        ("slo = 3\n", "slo: expected a table, got 3"),
    ],
)
def test_a_wrong_limit_is_an_error_that_names_it(tmp_path: Path, text: str, words: str) -> None:
    """As for the configuration: an unknown key, a wrong value, no table, no TOML."""
    path = tmp_path / "slo.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words):
        load_slo(path)


def test_the_template_has_every_limit(tmp_path: Path) -> None:
    """What --slo - prints reads as the defaults."""
    path = tmp_path / "slo.toml"
    path.write_text(slo_template())
    assert load_slo(path) == Slo()
    assert run("check", "--slo", "-").stdout == slo_template()
    assert all(f"\n{field.name} = " in slo_template() for field in attrs.fields(Slo))


def test_timeline_prints_or_writes(tmp_path: Path, good: Path) -> None:
    """To standard output, or the same to a file."""
    printed = run("timeline", good)
    assert printed.returncode == 0
    assert "caller   speaks  [" in printed.stdout
    written = run("timeline", good, "-o", tmp_path / "timeline.txt")
    assert (written.returncode, written.stdout) == (0, "")
    assert (tmp_path / "timeline.txt").read_text(encoding="utf-8") == printed.stdout


def test_a_timeline_may_be_looked_at_in_part(tmp_path: Path) -> None:
    """A reader that stops after the first line ends the command without a word."""
    log = plain()
    for number in range(3_000):
        log.add("error", {"error": {"code": str(number), "message": "No."}})
    path = log.write(tmp_path / "long.jsonl")
    command = [*COMMAND, "timeline", str(path)]
    process = subprocess.Popen(command, env=ENVIRON, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        assert "connected" in process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""
    assert process.wait(20) == 0


def test_timeline_of_no_log_is_refused(tmp_path: Path) -> None:
    """Status 2 and the line, also when some of it could be told before."""
    log = PlainLog()
    log.configure(ga_session())
    (tmp_path / "broken.jsonl").write_bytes(b"".join(log.lines) + b"{oh\n{oh\n")
    done = run("timeline", tmp_path / "broken.jsonl")
    assert done.returncode == 2
    assert "broken.jsonl: line 5: expected JSON" in done.stderr


@pytest.mark.parametrize("command", ["analyze", "check", "timeline"])
def test_help_teaches(command: str) -> None:
    """What it takes and what it tells are in the help, without a look elsewhere."""
    text = run(command, "--help").stdout
    assert "lenient" in text.lower()
    assert {"analyze": "eventType", "check": "Exit status 1", "timeline": "lane"}[command] in text


@pytest.mark.parametrize(
    "arguments", [["analyze"], ["check"], ["analyze", "--json"], ["check", "--json"], ["timeline"]], ids=" ".join
)
def test_the_status_is_that_of_the_logs_whoever_reads_on(tmp_path: Path, arguments: list[str]) -> None:
    """With ``| head``, or with standard output closed, nothing is said about that."""
    log = plain(transcription=None)
    for number in range(600):
        log.turn(number, settled=False)
        log.answer(number, chunks=1)
    path = log.write(tmp_path / "long.jsonl")
    status = 1 if arguments[0] == "check" else 0
    for shell in ("{} | head -n 1; exit ${{PIPESTATUS[0]}}", "{} >&-"):
        line = shell.format(shlex.join([*COMMAND, *arguments, str(path)]))
        done = subprocess.run(["bash", "-c", line], env=ENVIRON, capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stderr) == (status, ""), shell


def test_a_log_that_is_gone_does_not_hide_the_others(tmp_path: Path, good: Path) -> None:
    """A link into nowhere or in a circle, or a folder of such a name, is told like any log that cannot be read."""
    (tmp_path / "gone.jsonl").symlink_to("nowhere")
    (tmp_path / "circle.jsonl").symlink_to("circle.jsonl")
    (tmp_path / "folder.jsonl").mkdir()
    done = run("check", tmp_path)
    assert done.returncode == 1
    assert "good.jsonl: nothing fails" in done.stdout
    assert [name in done.stderr for name in ("gone.jsonl", "circle.jsonl", "folder.jsonl")] == [True] * 3


def test_a_name_that_is_no_utf8_is_a_name(tmp_path: Path, good: Path) -> None:
    """The bytes of another character set stand as such in JSON, and every command goes on."""
    path = tmp_path / os.fsdecode(b"caf\xe9.jsonl")
    shutil.copy(good, path)
    shown = str(tmp_path / "caf\\xe9.jsonl")
    assert list(json.loads(run("check", path, "--json").stdout)) == [shown]
    assert json.loads(run("analyze", path, "--json").stdout)["log"]["path"] == shown
    assert json.loads(run("compare", path, good, "--json").stdout)["expected"] == [shown]
    for command in ("report", "timeline", "analyze", "check"):
        done = run(command, path)
        assert (done.returncode, done.stderr) == (0, ""), command
    page = tmp_path / "pair.html"
    assert run("compare", path, good, "--html", page).returncode == 0
    assert "caf\\\\xe9" in page.read_text()


@pytest.mark.parametrize("command", ["timeline", "analyze"])
def test_a_terminal_that_lacks_a_letter_is_shown_its_number(tmp_path: Path, command: str) -> None:
    """Where standard output is Latin-1, the rest of Unicode is escaped, and the command goes on."""
    log = plain()
    log.turn(1, said="grüß dich – 日本")
    log.at_s += 1
    log.add("connection.closed", {"code": 1000})
    path = log.write(tmp_path / "call.jsonl")
    line = [*COMMAND, command, str(path)]
    done = subprocess.run(line, env={**ENVIRON, "PYTHONIOENCODING": "latin-1"}, capture_output=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, b"")
    assert "grüß dich \\u2013 \\u65e5\\u672c".encode("latin-1") in done.stdout
