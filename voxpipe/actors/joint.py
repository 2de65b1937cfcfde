"""What the sessions of one leg share, and how each of them ends."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import trio

from voxpipe.actors.access import Access
from voxpipe.actors.chunk_queue import ChunkQueue
from voxpipe.actors.sink import CallLog
from voxpipe.actors.tickets import Tickets
from voxpipe.actors.tools import ToolRunner
from voxpipe.config import ProviderConfig
from voxpipe.errors import SessionError
from voxpipe.sansio.dialect import Dialect
from voxpipe.sansio.ledger import CutPoint
from voxpipe.sansio.session_statistics import AppendStatistics


@attrs.frozen
class Ending:
    """Why a session is over; ``error`` is ``None`` when it ended in peace."""

    reason: str
    error: SessionError | None = None


@attrs.frozen(kw_only=True)
class Joint:
    """What the sessions of one leg share: the way to the provider, and the actors around them."""

    dialect: Dialect
    provider: ProviderConfig
    access: Access
    log: CallLog
    appends: trio.MemoryReceiveChannel[bytes]
    downlink: ChunkQueue
    cut: Callable[[int, bool], CutPoint | None]
    hold: Callable[[bool], None]
    tools: ToolRunner
    tickets: Tickets = attrs.field(factory=Tickets)
    appended: AppendStatistics = attrs.field(factory=AppendStatistics)
