"""A recorded call again, through the code of today, in virtual time: what is sent and played now, and what was then.

The log has what came in, and when: the caller's messages, the provider's, the results of tools, what a program asked
for. ``tape.py`` reads that, ``peers.py`` plays it at the recorded times, ``run.py`` runs the leg between the peers, and
``compare.py`` holds what came out against the log. The audio is that of the sidecar files (``log.audio = "sidecar"``).
"""

from voxpipe.replay.compare import Difference, Replay
from voxpipe.replay.run import replay_log

__all__ = ["Difference", "Replay", "replay_log"]
