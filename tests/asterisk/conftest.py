"""A real Asterisk for tests, from the folder that ``.ci/install-asterisk`` fills; README.md beside this says how."""

from __future__ import annotations

import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("VOXPIPE_ASTERISK_ROOT", "/var/tmp/voxpipe-asterisk"))
INSIDE = "/mnt/rig"
"""Where the rig's own folder is seen inside the chroot; the installer makes the mount point."""

MODULES = """
    res_audiosocket app_audiosocket chan_audiosocket pbx_config pbx_spool res_timing_timerfd
    app_playback app_echo app_mixmonitor app_senddtmf app_dial app_exec app_verbose app_stack
    func_channel func_callerid func_strings func_logic func_uuid func_volume func_uri res_curl func_curl
    format_wav format_sln format_pcm codec_ulaw codec_alaw codec_a_mu codec_resample
    bridge_simple bridge_softmix bridge_builtin_features
""".split()  # noqa: SIM905 - a list that people read and extend

# Every mount is made in a mount namespace of Asterisk's own: it goes with the process, however that ends, so nothing
# can be left mounted. All three commands replace themselves, so the process's id is Asterisk's.
START = """
mount --bind {folder} {root}{inside} && mount -t proc proc {root}/proc && mount --rbind /dev {root}/dev &&
exec chroot {root} /usr/sbin/asterisk -f -C {inside}/etc/asterisk.conf
"""
START_TIMEOUT_S = 30.0
STOP_TIMEOUT_S = 10.0


class Asterisk:
    """A running Asterisk. Its methods block: in a Trio test call them by ``trio.to_thread.run_sync``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = 0
        for name in ("etc", "var", "spool/outgoing", "spool/monitor", "spool/tmp", "run", "log", "sounds"):
            (folder / name).mkdir(parents=True)
        self._configure()
        script = START.format(folder=shlex.quote(str(folder)), root=shlex.quote(str(ROOT)), inside=INSIDE)
        # setpriv: ends with us, even if we are killed.
        isolated = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "unshare",
            "--mount",
            "--propagation",
            "private",
            "sh",
            "-c",
            script,
        ]
        with (folder / "log/console").open("wb") as console:
            self._process = subprocess.Popen(isolated, stdin=subprocess.DEVNULL, stdout=console, stderr=console)

    def _configure(self) -> None:
        modules = next(ROOT.glob("usr/lib/*/asterisk/modules"))
        directories = {
            "astetcdir": f"{INSIDE}/etc",
            "astmoddir": f"/{modules.relative_to(ROOT)}",
            "astvarlibdir": f"{INSIDE}/var",
            "astdbdir": f"{INSIDE}/var",
            "astkeydir": f"{INSIDE}/var",
            "astdatadir": "/usr/share/asterisk",
            "astagidir": f"{INSIDE}/var",
            "astspooldir": f"{INSIDE}/spool",
            "astrundir": f"{INSIDE}/run",
            "astlogdir": f"{INSIDE}/log",
        }
        lines = "\n".join(f"{key} => {value}" for key, value in directories.items())
        self._write("asterisk.conf", f"[directories]\n{lines}\n[options]\nverbose = 3\nnocolor = yes\n")
        loads = "\n".join(f"load = {name}.so" for name in MODULES)
        self._write("modules.conf", f"[modules]\nautoload = no\n{loads}\n")
        self._write(
            "logger.conf", "[general]\ndateformat = %F %T.%3q\n[logfiles]\nfull => notice,warning,error,verbose,dtmf\n"
        )
        self._write("extensions.conf", "[empty]\n")

    def _write(self, name: str, text: str) -> None:
        (self.folder / "etc" / name).write_text(text)

    def command(self, line: str) -> str:
        """Run a command of Asterisk's console and return what it prints."""
        inside = ["nsenter", "--target", str(self._process.pid), "--mount", "--root", "--wd"]
        console = ["/usr/sbin/asterisk", "-C", f"{INSIDE}/etc/asterisk.conf", "-rx", line]
        done = subprocess.run([*inside, *console], capture_output=True, text=True, timeout=START_TIMEOUT_S, check=False)
        return done.stdout + done.stderr

    def log(self) -> str:
        """Return everything logged so far, by the console too."""
        files = [self.folder / "log/console", self.folder / "log/full"]
        return "".join(file.read_text(errors="replace") for file in files if file.exists())

    def wait(self, what: str, condition: Callable[[], bool], timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until a condition holds; when it does not, fail with Asterisk's log."""
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if self._process.poll() is not None:
                pytest.fail(f"expected {what}, got the end of Asterisk ({self._process.returncode}):\n{self.log()}")
            if time.monotonic() > deadline_s:
                pytest.fail(f"expected {what} within {timeout_s:g} s, got none:\n{self.log()[-6000:]}")
            time.sleep(0.05)

    def dialplan(self, text: str) -> None:
        """Replace the dialplan; ``text`` is an extensions.conf."""
        self._write("extensions.conf", text)
        reply = self.command("dialplan reload")
        assert "reloaded" in reply.lower(), reply

    def sound(self, name: str, audio: bytes, extension: str) -> str:
        """Store raw audio (extension ``sln`` for slin8, ``sln24`` for slin24); return the name Playback takes."""
        (self.folder / "sounds" / f"{name}.{extension}").write_bytes(audio)
        return f"{INSIDE}/sounds/{name}"

    def originate(
        self,
        channel: str,
        context: str,
        *,
        exten: str = "s",
        codecs: str = "",
        variables: Mapping[str, str] | None = None,
    ) -> None:
        """Place a call: ``channel`` is dialled, and its other end runs ``exten@context``."""
        self._calls += 1
        lines = [f"Channel: {channel}", f"Context: {context}", f"Extension: {exten}", "Priority: 1", "WaitTime: 10"]
        lines += [f"Codecs: {codecs}"] if codecs else []
        lines += [f"Setvar: {name}={value}" for name, value in (variables or {}).items()]
        file = self.folder / "spool/tmp" / f"{self._calls}.call"
        file.write_text("\n".join(lines) + "\n")
        # Renamed, so that Asterisk never sees half of it.
        file.rename(self.folder / "spool/outgoing" / file.name)

    def wait_until_idle(self, timeout_s: float = START_TIMEOUT_S) -> None:
        """Wait until all placed calls have ended; their recordings are complete then."""
        outgoing = self.folder / "spool/outgoing"

        def idle() -> bool:
            return not any(outgoing.iterdir()) and "\n0 active channels" in "\n" + self.command("core show channels")

        self.wait("the end of all calls", idle, timeout_s)

    def recording(self, name: str) -> Path:
        """Return the path of a file which MixMonitor wrote, here and not inside."""
        return self.folder / "spool/monitor" / name

    def stop(self) -> None:
        """End Asterisk; the mounts go with it."""
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _why_not() -> str:
    if not (ROOT / ".complete").exists():
        return f"expected an Asterisk in {ROOT}, got none: run .ci/install-asterisk"
    if os.geteuid() != 0:
        return f"expected to run as root (chroot needs it), got user id {os.geteuid()}"
    return ""


@pytest.fixture(scope="session")
def asterisk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asterisk]:
    """A running Asterisk with an empty dialplan, shared by all tests; they run one at a time."""
    if reason := _why_not():
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    running = Asterisk(tmp_path_factory.mktemp("asterisk"))
    try:
        running.wait("Asterisk to be up", lambda: "fully booted" in running.command("core waitfullybooted"))
        yield running
    finally:
        running.stop()
