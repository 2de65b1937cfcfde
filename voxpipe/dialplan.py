"""The lines an Asterisk needs to hand calls over."""

from __future__ import annotations

from voxpipe.config import Config, format_address, parse_address


def asterisk_dialplan(config: Config) -> str:
    """Write extensions.conf lines for a gateway configured so, both ways in; with ``context.listen`` announced ones."""
    if config.context.listen:
        return _announced(config)
    address, codec = _reachable(config.gateway.listen), _codec(config)
    return f"""\
; extensions.conf: hand a call to voxpipe at {address}.
; When voxpipe hangs up, the dialplan goes on with the next line.
[voxpipe]
; The channel driver lets Asterisk convert: slin24 needs no resampling for a 24 kHz model.
; Releases from before October 2025 know only slin. Without option g a call ends with its Dial().
exten => agent,1,Answer()
 same => n,Dial(AudioSocket/{address}/${{UUID()}}/c({codec}),,g)
 same => n,Hangup()

; The application works in every version, with slin at 8 kHz.
exten => agent8,1,Answer()
 same => n,AudioSocket(${{UUID()}},{address})
 same => n,Hangup()
"""


TOKEN = """
; VOXPIPE_TOKEN, in [globals], is context.token.
 same => n,Set(CURLOPT(httpheader)=Authorization: Bearer ${VOXPIPE_TOKEN})"""
FORM = "caller=${URIENCODE(${CALLERID(num)})}&variables.name=${URIENCODE(${CALLERID(name)})}"


def _announced(config: Config) -> str:
    address, url = _reachable(config.gateway.listen), f"http://{_reachable(config.context.listen)}/legs/${{CALL}}"
    return f"""\
; extensions.conf: announce a call to voxpipe, hand it over at {address}, and branch on how it ended.
[voxpipe]
; CURL() (module func_curl) posts a form: each value in URIENCODE(), variables of your own as variables.NAME=value.
exten => agent,1,Answer()
 same => n,Set(CALL=${{UUID()}}){TOKEN if config.context.token else ""}
 same => n,Set(CURLOPT(conntimeout)=2)
 same => n,Set(ANNOUNCED=${{CURL({url}?format=text,{FORM})}})
 same => n,GotoIf($["${{ANNOUNCED}}" != "announced"]?failed)
; Option g goes on with the next line when voxpipe hangs up. Releases from before October 2025 know only slin.
 same => n,Dial(AudioSocket/{address}/${{CALL}}/c({_codec(config)}),,g)
 same => n,Set(OUTCOME=${{CURL({url}/outcome?format=text&wait=5)}})
 same => n,GotoIf($["${{OUTCOME}}" = "completed"]?done)
 same => n(failed),Verbose(1,voxpipe: announced "${{ANNOUNCED}}", outcome "${{OUTCOME}}")
 same => n(done),Hangup()
"""


def _reachable(listen: str) -> str:
    host, port = parse_address(listen)
    return format_address("127.0.0.1" if host in ("0.0.0.0", "::") else host, port)


def _codec(config: Config) -> str:
    codec = config.leg.format if config.leg.format != "auto" else "slin24"
    return {"ulaw8": "ulaw", "alaw8": "alaw", "slin8": "slin"}.get(codec, codec)
