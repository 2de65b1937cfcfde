"""The picture of a comparison: how far down what must go is, and how late the sound comes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
from measure import response
from rivals import RIVALS, STREAMS

PAIRS = ((8_000, 24_000), (16_000, 24_000))
STYLES = {"voxpipe": {"linewidth": 2.2, "color": "black", "zorder": 5}}


def draw(results: dict[str, Any], file: Path) -> None:
    """Draw the frequency responses of two pairs, and the delay of all, into a PNG."""
    figure, axes = plt.subplots(1, 3, figsize=(18, 6), constrained_layout=True)
    for axis, (source_hz, target_hz) in zip(axes, PAIRS, strict=False):
        for name in STREAMS:
            frequency_hz, gain_db = response(RIVALS[name], source_hz, target_hz)
            axis.plot(frequency_hz / 1000, gain_db, label=name, **STYLES.get(name, {"linewidth": 1}))
        axis.set(
            title=f"{source_hz // 1000} to {target_hz // 1000} kHz (below -80 dB: rounding of the impulse)",
            xlabel="frequency at the output, kHz",
            ylabel="gain, dB",
            ylim=(-120, 5),
        )
        axis.axhline(-85, color="red", linewidth=0.6, linestyle=":")
        axis.grid(alpha=0.3)
    axes[0].legend(loc="lower left")
    pairs = list(dict.fromkeys((row["source_hz"], row["target_hz"]) for row in results["resampling"]))
    for name in STREAMS:
        delays = [row["delay_ms"] for row in results["resampling"] if row["name"] == name]
        axes[2].plot(delays, "o-", label=name, **STYLES.get(name, {"linewidth": 1}))
    axes[2].set(title="delay beyond the 20 ms chunk", ylabel="ms", yscale="symlog")
    axes[2].set_xticks(range(len(pairs)), [f"{a // 1000}-{b // 1000}" for a, b in pairs], rotation=60)
    axes[2].grid(alpha=0.3)
    figure.savefig(file, dpi=90)
    plt.close(figure)
