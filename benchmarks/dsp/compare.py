"""``make bench-dsp``: our kernels against what people use today, in one run, in turn. Prints one table.

Also writes ``dsp.json`` (everything) and ``dsp.png`` (frequency response and delay) into the folder given, by default
``build/bench``. Exit status 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import sys
from functools import partial
from pathlib import Path
from typing import Any

import attrs
from measure import noise, sound, time_in_turn
from plot import draw
from rich.console import Console
from rich.progress import track
from rich.table import Table
from rivals import REFERENCE, RIVALS, STREAMS, audioop, versions

from voxpipe import dsp
from voxpipe.audio import LINEAR_RATES_HZ
from voxpipe.dsp._level import Meter

RATES_HZ = (8_000, 16_000, 24_000, 48_000)
PAIRS = list(itertools.permutations(RATES_HZ, 2))
OTHER_PAIRS = [pair for pair in itertools.permutations(LINEAR_RATES_HZ, 2) if pair not in PAIRS]
PAIR_RATIO, OTHER_RATIO = 0.35, 0.7
LEVEL_US = 0.3


def resampling(rounds: int, repeats: int) -> list[dict[str, Any]]:
    """Time and sound of every rival for the pairs of a telephone call."""
    rows = []
    for source_hz, target_hz in track(PAIRS, "pairs of 8, 16, 24, 48 kHz", console=Console(stderr=True)):
        frame = noise(source_hz // 50)
        streams = {name: make(source_hz, target_hz) for name, make in RIVALS.items()}
        times = time_in_turn({name: partial(process, frame) for name, process in streams.items()}, rounds, repeats)
        for name, time_us in times.items():
            measured = attrs.asdict(sound(RIVALS[name], source_hz, target_hz)) if name in STREAMS else {}
            rows.append(
                {
                    "source_hz": source_hz,
                    "target_hz": target_hz,
                    "name": name,
                    "time_us": round(time_us, 3),
                    "ratio": round(time_us / times[REFERENCE], 3),
                    **{key: round(value, 3) for key, value in measured.items() if value is not None},
                }
            )
    return rows


def other_resampling(rounds: int, repeats: int) -> list[dict[str, Any]]:
    """Time of ours against the reference for all other pairs."""
    rows = []
    for source_hz, target_hz in track(OTHER_PAIRS, "the other 60 pairs", console=Console(stderr=True)):
        frame = noise(source_hz // 50)
        calls = {
            "ours": partial(RIVALS["voxpipe"](source_hz, target_hz), frame),
            "theirs": partial(RIVALS[REFERENCE](source_hz, target_hz), frame),
        }
        times = time_in_turn(calls, rounds, repeats)
        ratio = times["ours"] / times["theirs"]
        rows.append(
            {
                "source_hz": source_hz,
                "target_hz": target_hz,
                "time_us": round(times["ours"], 3),
                "ratio": round(ratio, 3),
            }
        )
    return rows


def small_kernels(rounds: int, repeats: int) -> list[dict[str, Any]]:
    """G.711 against audioop, and levels, of 160 samples."""
    linear, codes = noise(160), dsp.ulaw_encode(noise(160))
    meter = Meter(160)
    calls = {
        "mu-law encode": (lambda: dsp.ulaw_encode(linear), lambda: audioop.lin2ulaw(linear, 2)),
        "mu-law decode": (lambda: dsp.ulaw_decode(codes), lambda: audioop.ulaw2lin(codes, 2)),
        "A-law encode": (lambda: dsp.alaw_encode(linear), lambda: audioop.lin2alaw(linear, 2)),
        "A-law decode": (lambda: dsp.alaw_decode(codes), lambda: audioop.alaw2lin(codes, 2)),
        "level (audioop: rms and peak only)": (
            lambda: meter.add(linear),
            lambda: (audioop.rms(linear, 2), audioop.max(linear, 2)),
        ),
    }
    rows = []
    for name, (ours, theirs) in calls.items():
        times = time_in_turn({"ours": ours, "theirs": theirs}, rounds, repeats)
        rows.append(
            {
                "name": name,
                "time_us": round(times["ours"], 3),
                "audioop_us": round(times["theirs"], 3),
                "ratio": round(times["ours"] / times["theirs"], 3),
            }
        )
    return rows


def misses(results: dict[str, Any]) -> list[str]:
    """The targets that were not reached, with the number that was."""
    lines = [
        f"{row['source_hz']} to {row['target_hz']} Hz: expected at most {PAIR_RATIO} of {REFERENCE}'s time, "
        f"got {row['ratio']}"
        for row in results["resampling"]
        if row["name"] == "voxpipe" and row["ratio"] > PAIR_RATIO
    ]
    lines += [
        f"{row['source_hz']} to {row['target_hz']} Hz: expected at most {OTHER_RATIO} of {REFERENCE}'s time, "
        f"got {row['ratio']}"
        for row in results["other_resampling"]
        if row["ratio"] > OTHER_RATIO
    ]
    for row in results["kernels"]:
        if row["name"].startswith("level"):
            if row["time_us"] > LEVEL_US:
                lines.append(f"level: expected at most {LEVEL_US} us a frame, got {row['time_us']}")
        elif row["ratio"] > 1:
            lines.append(f"{row['name']}: expected audioop's time at most, got {row['ratio']} of it")
    for row in results["resampling"]:
        if row["name"] == "voxpipe":
            lines += _unsound(row)
    return lines


def _unsound(row: dict[str, Any]) -> list[str]:
    pair = f"{row['source_hz']} to {row['target_hz']} Hz"
    limit_ms = 3 if min(row["source_hz"], row["target_hz"]) == 8_000 else 2
    held = {
        f"a delay of at most {limit_ms} ms": row["delay_ms"] <= limit_ms,
        "an SNR of at least 90 dB": row["snr_db"] >= 90,
        "images of at most -85 dB": row.get("image_db", -99) <= -85,
        "aliases of at most -85 dB": row.get("alias_db", -99) <= -85,
        "a ripple of at most 0.1 dB": row["ripple_db"] <= 0.1,
    }
    return [f"{pair}: expected {name}, got {row}" for name, holds in held.items() if not holds]


def show(results: dict[str, Any], console: Console) -> None:
    """Print everything as one table a kind."""
    table = Table(title=f"One 20 ms frame, bytes in and bytes out ({results['machine']})", title_justify="left")
    for name in ("kHz", "resampler", "time us", "ratio", "delay ms", "SNR dB", "image dB", "alias dB", "ripple dB"):
        table.add_column(name, justify="left" if name in ("kHz", "resampler") else "right")
    before = ()
    for row in results["resampling"]:
        pair = (row["source_hz"], row["target_hz"])
        if before not in ((), pair):
            table.add_section()
        figures = [
            "" if key not in row else f"{max(row[key], -130):.{digits}f}"
            for key, digits in (("delay_ms", 1), ("snr_db", 0), ("image_db", 0), ("alias_db", 0), ("ripple_db", 3))
        ]
        label = f"{pair[0] // 1000} -> {pair[1] // 1000}" if before != pair else ""
        table.add_row(label, row["name"], f"{row['time_us']:.2f}", f"{row['ratio']:.2f}", *figures)
        before = pair
    console.print(table)
    ratios = sorted(results["other_resampling"], key=lambda row: -row["ratio"])
    console.print(
        f"the other {len(ratios)} pairs: ratio {ratios[-1]['ratio']:.2f} to {ratios[0]['ratio']:.2f}; the slowest: "
        + ", ".join(f"{r['source_hz'] / 1000:g} -> {r['target_hz'] / 1000:g} kHz {r['ratio']:.2f}" for r in ratios[:4])
    )
    small = Table("160 samples", "ours us", "audioop us", "ratio")
    for row in results["kernels"]:
        small.add_row(row["name"], f"{row['time_us']:.3f}", f"{row['audioop_us']:.3f}", f"{row['ratio']:.2f}")
    console.print(small)


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder for dsp.json and dsp.png")
    parser.add_argument("--rounds", type=int, default=40, help="rounds of each timing; medians are reported")
    parser.add_argument("--repeats", type=int, default=300, help="calls in a round")
    given = parser.parse_args()
    results: dict[str, Any] = {
        "machine": f"{platform.machine()}, {_processor()}",
        "versions": versions(),
        "resampling": resampling(given.rounds, given.repeats),
        "other_resampling": other_resampling(max(5, given.rounds // 3), max(20, given.repeats // 3)),
        "kernels": small_kernels(given.rounds, given.repeats),
    }
    results["misses"] = misses(results)
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "dsp.json").write_text(json.dumps(results, indent=1) + "\n")
    draw(results, given.out / "dsp.png")
    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    show(results, console)
    for line in results["misses"]:
        console.print(f"[red]MISSED[/]  {line}", soft_wrap=True)
    console.print(f"{given.out / 'dsp.json'}, {given.out / 'dsp.png'}", soft_wrap=True)
    sys.exit(1 if results["misses"] else 0)


def _processor() -> str:
    with open("/proc/cpuinfo", encoding="utf-8") as lines:
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else "processor unknown"


if __name__ == "__main__":
    main()
