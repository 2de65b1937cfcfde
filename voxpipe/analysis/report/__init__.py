"""``voxpipe report``: a call as one HTML page, to look at and to listen to.

::

    log -> gather -> content_of -> page_of
           one pass   overview, verdicts, lanes        one file: no network, no framework
           over the   placing, tracks: what was heard when
           log        peaks, sound, ogg: drawn and recorded
                      event_rows: the raw events

The pages are hand-written: the .html, .css and .js files beside this one, put into them as they are; ``page.Sheet``
names those of each kind of page, and pair.py makes the page of a comparison.
"""

from __future__ import annotations

from voxpipe.analysis.report.content import Content, Material, content_of, gather
from voxpipe.analysis.report.page import page_of

__all__ = ["Content", "Material", "content_of", "gather", "page_of"]
