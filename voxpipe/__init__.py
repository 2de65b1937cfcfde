"""voxpipe joins Asterisk calls (AudioSocket) to realtime speech models; start reading in ``leg.py``."""
