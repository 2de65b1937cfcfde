"""The simulated provider as its clients see it, in virtual time."""

from __future__ import annotations

import json

import pytest
import trio

from voxpipe.testing.provider import SPELLINGS, Provider
from voxpipe.testing.provider_evidence import ProviderNote

VAD = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500}
TURN = [
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
    "conversation.item.added",
    "conversation.item.done",
    "response.created",
    "rate_limits.updated",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
]
END = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "response.output_item.done",
    "conversation.item.done",
    "response.done",
    "rate_limits.updated",
]


def session(**audio_input):
    """A session with the test's turn detection."""
    return {"type": "realtime", "audio": {"input": {"turn_detection": VAD, **audio_input}}}


async def test_a_turn_is_spoken_back_bit_for_bit(autojump_clock, connect, utterance):
    """Equal formats both ways: the answer is the turn's own bytes, from its padded start to the end of its silence."""
    provider = Provider()
    client = await connect(provider)
    await client.configure(session())
    await client.append(utterance)
    await client.until("response.done")
    start_ms = client.of("input_audio_buffer.speech_started")[0]["audio_start_ms"]
    end_ms = client.of("input_audio_buffer.speech_stopped")[0]["audio_end_ms"]
    assert client.audio() == utterance[start_ms * 48 : end_ms * 48]
    assert provider.sessions[0].uplink == utterance
    assert provider.sessions[0].downlink == client.audio()
    assert provider.complaints == []


async def test_the_train_of_a_turn_has_the_order_of_the_real_server(autojump_clock, connect, utterance):
    """From speech_started to response.done, with transcript and audio deltas interleaved in between."""
    client = await connect(Provider())
    await client.configure(session())
    await client.append(utterance)
    await client.until("rate_limits.updated", 2)
    types = client.types()[client.types().index(TURN[0]) :]
    assert types[: len(TURN)] == TURN
    assert types[-len(END) :] == END
    deltas = types[len(TURN) : -len(END)]
    assert deltas[:2] == ["response.output_audio_transcript.delta", "response.output_audio.delta"]
    assert set(deltas) == set(deltas[:2])


async def test_audio_comes_faster_than_real_time_after_a_latency(autojump_clock, connect, utterance):
    """The first chunk comes 300 ms after the turn's end, and the whole answer in a quarter of its duration."""
    provider = Provider()
    client = await connect(provider)
    await client.configure(session())
    await client.append(utterance)
    await client.until("response.done")
    evidence = provider.sessions[0]
    first, last = evidence.audio_sent[0], evidence.audio_sent[-1]
    assert first.time_s - evidence.turns[0].time_s == pytest.approx(0.3, abs=1e-6)
    sent_before_last_s = (evidence.downlink_bytes - last.size_bytes) / 48_000
    assert last.time_s - first.time_s == pytest.approx(sent_before_last_s / 4, abs=1e-6)
    assert any(chunk.size_bytes % 960 for chunk in evidence.audio_sent)


async def test_speech_over_an_answer_cancels_it(autojump_clock, connect, utterance):
    """With interrupt_response the running response ends as cancelled by turn_detected, just after speech_started."""
    client = await connect(Provider())
    await client.configure(session())
    await client.send({"type": "response.create", "response": {"instructions": "Greet."}})
    await client.until("response.output_audio.delta")
    await client.append(utterance[24_000 : 24_000 + 9600], piece_bytes=9600)
    done = (await client.until("response.done"))["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert done["output"][0]["status"] == "incomplete"
    types = client.types()
    assert types[types.index("input_audio_buffer.speech_started") + 1 :][:6] == END[:6]
    deltas = len(client.of("response.output_audio.delta"))
    await trio.sleep(5)
    assert len(client.of("response.output_audio.delta")) == deltas


async def test_without_interrupt_response_the_answer_goes_on_and_the_turn_waits(autojump_clock, connect, utterance):
    """interrupt_response false: the running answer is finished first, then the turn's own answer is given."""
    client = await connect(Provider())
    await client.configure(session(turn_detection={**VAD, "interrupt_response": False}))
    for _ in range(2):
        await client.append(utterance, piece_bytes=len(utterance))
    await client.until("response.done", 2)
    assert [event["response"]["status"] for event in client.of("response.done")] == ["completed", "completed"]


async def test_create_response_false_is_respected(autojump_clock, connect, utterance):
    """The turn is committed, and nothing is said until response.create speaks it back."""
    client = await connect(Provider())
    await client.configure(session(turn_detection={**VAD, "create_response": False}))
    await client.append(utterance)
    await client.until("input_audio_buffer.committed")
    await trio.sleep(10)
    assert client.of("response.created") == []
    await client.send({"type": "response.create"})
    await client.until("response.done")
    assert client.audio() in utterance
    assert len(client.audio()) > 48_000


async def test_without_turn_detection_the_client_commits(autojump_clock, connect, utterance):
    """turn_detection null: nothing is heard until commit; less than 100 ms is refused in the server's words."""
    provider = Provider()
    client = await connect(provider)
    await client.configure(session(turn_detection=None))
    await client.append(utterance[:3840])
    await client.send({"type": "input_audio_buffer.commit", "event_id": "c1"})
    error = (await client.until("error"))["error"]
    assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "c1")
    assert "buffer only has 80.00ms of audio" in error["message"]
    await client.append(utterance[3840:])
    await client.send({"type": "input_audio_buffer.commit"})
    await client.until("input_audio_buffer.committed")
    await client.send({"type": "response.create"})
    await client.until("response.done")
    assert client.audio() == utterance
    assert [complaint.code for complaint in provider.complaints] == ["input_audio_buffer_commit_empty"]


async def test_a_cleared_buffer_is_forgotten(autojump_clock, connect, utterance):
    """input_audio_buffer.clear is confirmed, and what was appended before it cannot be committed."""
    client = await connect(Provider())
    await client.configure(session(turn_detection=None))
    await client.append(utterance)
    await client.send({"type": "input_audio_buffer.clear"})
    await client.until("input_audio_buffer.cleared")
    await client.send({"type": "input_audio_buffer.commit"})
    assert (await client.until("error"))["error"]["code"] == "input_audio_buffer_commit_empty"


async def test_a_configured_transcription_comes_later(autojump_clock, connect, utterance):
    """Delta and completed for the turn's item come after the turn was committed, with what the parrot understood."""
    client = await connect(Provider())
    await client.configure(session(transcription={"model": "gpt-transcribe"}))
    await client.append(utterance)
    kind = "conversation.item.input_audio_transcription"
    completed = await client.until(f"{kind}.completed")
    assert completed["item_id"] == client.of("input_audio_buffer.committed")[0]["item_id"]
    assert completed["transcript"] == client.of(f"{kind}.delta")[0]["delta"] == "(2.0 s of speech)"


async def test_different_formats_are_converted(autojump_clock, connect, utterance):
    """PCM up and mu-law down: the answer has a third of the samples, one byte each."""
    client = await connect(Provider())
    confirmed = await client.configure(
        {"type": "realtime", "audio": {"input": {"turn_detection": VAD}, "output": {"format": {"type": "audio/pcmu"}}}}
    )
    assert confirmed["audio"]["output"]["format"] == {"type": "audio/pcmu"}
    await client.append(utterance)
    await client.until("response.done")
    turn = client.of("input_audio_buffer.speech_stopped")[0]["audio_end_ms"]
    turn -= client.of("input_audio_buffer.speech_started")[0]["audio_start_ms"]
    assert len(client.audio()) == turn * 8


async def test_items_can_be_truncated_retrieved_and_deleted(autojump_clock, connect):
    """An answer's item is cut to what was played; more than was sent is refused with the server's own count."""
    provider = Provider()
    client = await connect(provider)
    await client.configure()
    await client.send({"type": "response.create", "response": {"instructions": "Greet."}})
    item_id = (await client.until("response.done"))["response"]["output"][0]["id"]
    cut = {"type": "conversation.item.truncate", "item_id": item_id, "content_index": 0}
    await client.send({**cut, "audio_end_ms": 9100, "event_id": "t1"})
    error = (await client.until("error"))["error"]
    assert error["message"] == "Audio content of 2000ms is already shorter than 9100ms"
    await client.send({**cut, "audio_end_ms": 1420})
    assert (await client.until("conversation.item.truncated"))["audio_end_ms"] == 1420
    await client.send({"type": "conversation.item.retrieve", "item_id": item_id})
    item = (await client.until("conversation.item.retrieved"))["item"]
    assert len(item["content"][0]["audio"]) == 1420 * 48 * 4 // 3
    assert item["content"][0]["transcript"] == ""
    await client.send({"type": "conversation.item.delete", "item_id": item_id})
    await client.until("conversation.item.deleted")
    await client.send({"type": "conversation.item.delete", "item_id": item_id, "event_id": "d2"})
    assert (await client.until("error", 2))["error"]["event_id"] == "d2"


async def test_one_response_at_a_time_writes_to_the_conversation(autojump_clock, connect):
    """A second response.create is refused while one runs, unless it is out of the conversation; cancel ends one."""
    provider = Provider()
    client = await connect(provider)
    await client.configure()
    create = {"type": "response.create", "response": {"instructions": "Greet."}}
    aside = {"conversation": "none", "output_modalities": ["text"], "instructions": "Sum up."}
    await client.send(create)
    await client.send(create)
    assert (await client.until("error"))["error"]["code"] == "conversation_already_has_active_response"
    await client.send({"type": "response.create", "response": aside})
    await client.until("response.output_text.done")
    await client.send({"type": "response.cancel"})
    await client.until("response.done", 2)
    ended = [event["response"] for event in client.of("response.done")]
    assert [(one["status"], one["conversation_id"] is None) for one in ended] == [
        ("completed", True),
        ("cancelled", False),
    ]
    await client.send({"type": "response.cancel"})
    assert (await client.until("error", 2))["error"]["code"] == "response_cancel_not_active"
    assert [complaint.harmless for complaint in provider.complaints] == [True, True]


async def test_audio_before_the_acknowledgement_is_a_complaint(autojump_clock, connect, utterance):
    """The server takes it, as the real one does, and remembers who was too early."""
    provider = Provider()
    client = await connect(provider)
    await client.append(utterance[:9600])
    await client.configure()
    assert [complaint.code for complaint in provider.complaints] == ["audio_before_ack"]
    assert provider.sessions[0].uplink_bytes == 9600


async def test_the_key_is_asked_for(autojump_clock, connect):
    """A provider with a key answers 401 without it, and takes it in the header its vendor has for it."""
    from voxpipe.websocket import WebSocketRefused

    beta = (("OpenAI-Beta", "realtime=v1"),)
    bearer, token, azure = ("Authorization", "Bearer k1"), ("Authorization", "Token k1"), ("api-key", "k1")
    expected = {"openai": bearer, "openai-beta": bearer, "openai-live": bearer, "azure-openai": azure}
    assert {*expected, "deepgram"} == set(SPELLINGS)
    for dialect, right in {**expected, "deepgram": token}.items():
        provider = Provider(dialect, api_key="k1")
        for wrong in {bearer, token, azure, ("Authorization", "Bearer k2")} - {right}:
            with pytest.raises(WebSocketRefused, match="401"):
                await connect(provider, headers=(wrong,))
        assert [complaint.code for complaint in provider.complaints] == ["unauthorized"] * 3
        await connect(provider, headers=(right, *(beta if dialect == "openai-beta" else ())))
        assert len(provider.complaints) == 3


@pytest.mark.parametrize(
    ("dialect", "url", "headers", "code"),
    [
        ("openai", None, (("OpenAI-Beta", "realtime=v1"),), "beta_api_shape_disabled"),
        ("openai-beta", None, (), "missing_beta_header"),
        ("openai", "ws://provider.test/v1/realtime", (), "missing_model"),
    ],
)
async def test_a_wrong_greeting_is_answered_and_closed(autojump_clock, connect, dialect, url, headers, code):
    """The beta header on GA, its absence on beta, and a URL without a model: an error, then close 4000."""
    provider = Provider(dialect)
    client = await connect(provider, headers=headers, url=url)
    assert (await client.until("error"))["error"]["code"] == code
    assert await client.until_closed() == (4000, f"invalid_request_error.{code}")
    assert [complaint.code for complaint in provider.complaints] == [code]


async def test_connections_are_independent(autojump_clock, connect, utterance):
    """A client that vanishes in the middle of its answer does not disturb a hundred others."""
    provider = Provider()
    clients = [await connect(provider) for _ in range(101)]
    async with trio.open_nursery() as nursery:
        for client in clients:
            await client.configure(session())
            nursery.start_soon(client.append, utterance, len(utterance))
    await clients[0].until("response.output_audio.delta")
    await clients[0].websocket.aclose()
    for client in clients[1:]:
        assert (await client.until("response.done"))["response"]["status"] == "completed"
    assert len({json.dumps(client.types()[-20:]) for client in clients[1:]}) == 1
    assert [evidence.open for evidence in provider.sessions] == [False] + 100 * [True]


async def test_a_client_that_does_not_read_is_not_buffered_without_limit(autojump_clock, nursery):
    """Answers wait for a client that stopped reading, and it is let go when its connection ends."""
    import trio.testing

    from voxpipe.websocket import connect_websocket

    provider = Provider()
    near, far = trio.testing.lockstep_stream_pair()
    nursery.start_soon(provider.serve_stream, far)

    async def dial(host: str, port: int) -> trio.abc.Stream:
        return near

    websocket = await connect_websocket(nursery, "ws://p.test/?model=m", dial=dial)
    flood = json.dumps({"type": "session.update", "session": {"type": "realtime"}})
    with trio.move_on_after(5):
        for _ in range(20_000):
            await websocket.send_message(flood)
    evidence = provider.sessions[0]
    assert evidence.received["session.update"] < 500
    await near.aclose()
    await trio.sleep(1)
    assert not evidence.open


async def test_the_watcher_is_told_as_it_happens(autojump_clock, connect, utterance):
    """on_event sees a session open, be configured, hear a turn, answer and close, in that order."""
    notes: list[ProviderNote] = []
    client = await connect(Provider(on_event=notes.append))
    await client.configure(session())
    await client.append(utterance)
    await client.until("response.done")
    await client.websocket.aclose()
    await trio.sleep(1)
    assert [note.kind for note in notes] == ["opened", "configured", "turn", "answer", "closed"]
    assert notes[1].text == "uplink audio/pcm, downlink audio/pcm"


def test_an_unknown_dialect_is_refused():
    """The error lists the dialects there are."""
    with pytest.raises(
        ValueError,
        match=r"expected a dialect of openai, openai-beta, openai-live, azure-openai, deepgram, got 'klingon'",
    ):
        Provider("klingon")
