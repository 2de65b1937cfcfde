"""The pure half of voxpipe: no await, no clock, no I/O, no logging, no randomness. ``now`` is an argument."""
