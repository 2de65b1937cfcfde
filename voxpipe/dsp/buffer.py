"""What the kernels take."""

Buffer = bytes | bytearray | memoryview
"""Bytes in one piece. At run time any contiguous buffer will do, such as an array of 16-bit integers."""
