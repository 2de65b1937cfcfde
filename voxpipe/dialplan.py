"""The lines an Asterisk needs to hand calls over."""

from __future__ import annotations

from voxpipe.config import Config, parse_address


def asterisk_dialplan(config: Config) -> str:
    """Write extensions.conf lines for a gateway configured so, both ways in."""
    host, port = parse_address(config.gateway.listen)
    address = f"{'127.0.0.1' if host in ('0.0.0.0', '::') else host}:{port}"
    codec = config.leg.format if config.leg.format != "auto" else "slin24"
    codec = {"ulaw8": "ulaw", "alaw8": "alaw", "slin8": "slin"}.get(codec, codec)
    return f"""\
; extensions.conf: hand a call to voxpipe at {address}.
; When voxpipe hangs up, the dialplan goes on with the next line.
[voxpipe]
; The channel driver lets Asterisk convert: slin24 needs no resampling for a 24 kHz model.
; Releases from before October 2025 know only slin.
exten => agent,1,Answer()
 same => n,Dial(AudioSocket/{address}/${{UUID()}}/c({codec}))
 same => n,Hangup()

; The application works in every version, with slin at 8 kHz.
exten => agent8,1,Answer()
 same => n,AudioSocket(${{UUID()}},{address})
 same => n,Hangup()
"""
