"""Ogg pages: the random number that each stream is given, replaced, so that the same audio makes the same file.

After RFC 3533, section 6: a page is a header of 27 bytes and more with a checksum over the whole page.
"""

from __future__ import annotations

import struct
import zlib

CAPTURE = b"OggS"
SERIAL_AT, CHECKSUM_AT, SEGMENTS_AT, HEADER_BYTES = 14, 22, 26, 27
REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def checksum(page: bytes | bytearray) -> int:
    """Compute a page's checksum; its own field counts as zero and must be.

    Ogg's has zlib's polynomial, but takes the bits of each byte in the other order, and inverts neither start nor end.
    """
    mirrored = zlib.crc32(page.translate(REVERSED), 0xFFFF_FFFF) ^ 0xFFFF_FFFF
    return int.from_bytes(mirrored.to_bytes(4, "little").translate(REVERSED), "big")


def with_serial(data: bytes, serial: int) -> bytes:
    """Give every page of a file of one stream this serial number. ``ValueError`` for what is no Ogg file."""
    made = bytearray()
    at = 0
    while at < len(data):
        if data[at : at + 4] != CAPTURE or at + HEADER_BYTES > len(data):
            raise ValueError(f"expected an Ogg page at byte {at}, got {data[at : at + 4]!r}")
        segments = data[at + SEGMENTS_AT]
        size_bytes = HEADER_BYTES + segments + sum(data[at + HEADER_BYTES : at + HEADER_BYTES + segments])
        page = bytearray(data[at : at + size_bytes])
        struct.pack_into("<I", page, SERIAL_AT, serial)
        struct.pack_into("<I", page, CHECKSUM_AT, 0)
        struct.pack_into("<I", page, CHECKSUM_AT, checksum(page))
        made += page
        at += size_bytes
    return bytes(made)
