import base64
import json

import pytest

from chamade_mcp.audio import told, wire
from chamade_mcp.audio.frame import AudioFormat
from chamade_mcp.audio.wire import (
    AudioChunk,
    AudioConfigDeclare,
    AudioConfigQuery,
    AudioStatusQuery,
    Clear,
    ClientMessage,
    Dtmf,
    Mark,
    Say,
    SendChat,
    StopSpeaking,
    Transcript,
    WireCode,
    WireError,
    parse,
)

PCM = bytes(range(8))
PCM64 = base64.b64encode(PCM).decode()


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        ('{"type":"say","text":"Hello"}', Say("Hello")),
        ('{"type":"say","text":"x","later":1}', Say("x")),
        ('{"type":"send_chat","text":"Hi"}', SendChat("Hi")),
        ('{"type":"send_chat","text":"Hi","sender_name":"Bob"}', SendChat("Hi", "Bob")),
        (
            '{"type":"send_chat","attachments":[{"file_id":"f_1"}]}',
            SendChat("", "", ({"file_id": "f_1"},)),
        ),
        ('{"type":"send_chat","text":"","attachments":[{}]}', SendChat("", "", ({},))),
        (f'{{"type":"audio","audio":"{PCM64}","sample_rate":24000}}', AudioChunk(PCM, 24_000)),
        (f'{{"type":"audio","audio":"{PCM64}"}}', AudioChunk(PCM, None)),
        ('{"type":"audio","audio":"","sample_rate":24000}', AudioChunk(b"", 24_000)),
        ('{"type":"audio_config"}', AudioConfigQuery()),
        ('{"type":"audio_config","sample_rate":null,"receive":null}', AudioConfigQuery()),
        ('{"type":"audio_config","sample_rate":16000}', AudioConfigDeclare(16_000, None)),
        ('{"type":"audio_config","receive":false}', AudioConfigDeclare(None, False)),
        ('{"type":"audio_config","speech_events":true}', AudioConfigDeclare(speech_events=True)),
        ('{"type":"audio_config","barge_in":false}', AudioConfigDeclare(barge_in=False)),
        ('{"type":"audio_config","sample_rate":8000,"receive":true}', AudioConfigDeclare(8_000, True)),
        ('{"type":"audio_status"}', AudioStatusQuery()),
        ('{"type":"clear"}', Clear()),
        ('{"type":"dtmf","digits":"0*9#d"}', Dtmf("0*9#D")),
        ('{"type":"mark","name":"end of sentence"}', Mark("end of sentence")),
        ('{"type":"stop_speaking"}', StopSpeaking()),
        ('{"type":"transcript","speaker":"Ann","text":"Yes"}', Transcript("Ann", "Yes")),
    ],
)
def test_messages(frame: str, message: ClientMessage) -> None:
    assert parse(frame) == message
    assert parse(frame.encode()) == message


def text_frame(kind: str, text: str) -> str:
    return json.dumps({"type": kind, "speaker": "A", "text": text})


@pytest.mark.parametrize("kind", ["say", "send_chat", "transcript"])
def test_text_of_1_to_10_000_characters(kind: str) -> None:
    for length in (1, 10_000):
        parse(text_frame(kind, "é" * length))
    for length in (0, 10_001):
        with pytest.raises(WireError, match="1-10,000 characters") as caught:
            parse(text_frame(kind, "é" * length))
        assert caught.value.code is WireCode.INVALID_FIELD


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("", WireCode.INVALID_JSON),
        ("{", WireCode.INVALID_JSON),
        ("[]", WireCode.INVALID_JSON),
        ('"say"', WireCode.INVALID_JSON),
        ("null", WireCode.INVALID_JSON),
        ('{"type":"say","text":"x","n":NaN}', WireCode.INVALID_JSON),
        ('{"type":"say","text":"x","n":-Infinity}', WireCode.INVALID_JSON),
        ('{"type":"say","text":"x","n":1e999}', WireCode.INVALID_JSON),
        ('{"type":"say","text":"x","n":' + "9" * 5_000 + "}", WireCode.INVALID_JSON),
        ("[" * 200_000, WireCode.INVALID_JSON),
        ('{"a":' * 100_000, WireCode.INVALID_JSON),
        (b"\xff\xfe\xff", WireCode.INVALID_JSON),
        ("{}", WireCode.INVALID_FIELD),
        ('{"type":1}', WireCode.INVALID_FIELD),
        ('{"type":null}', WireCode.INVALID_FIELD),
        ('{"type":["say"]}', WireCode.INVALID_FIELD),
        ('{"type":"dance"}', WireCode.UNKNOWN_TYPE),
        ('{"type":"SAY","text":"x"}', WireCode.UNKNOWN_TYPE),
        ('{"type":"\\ud800"}', WireCode.UNKNOWN_TYPE),
        ('{"type":"say"}', WireCode.INVALID_FIELD),
        ('{"type":"say","text":null}', WireCode.INVALID_FIELD),
        ('{"type":"say","text":["x"]}', WireCode.INVALID_FIELD),
        ('{"type":"say","text":"\\ud800"}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat"}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","attachments":[]}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","text":"x","sender_name":1}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","text":"x","sender_name":"' + "n" * 201 + '"}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","text":"x","attachments":{}}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","attachments":["f_1"]}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","attachments":[{"name":"\\udc00"}]}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","attachments":[{"\\udc00":1}]}', WireCode.INVALID_FIELD),
        ('{"type":"send_chat","attachments":[{"a":' + "[" * 20 + "]" * 20 + "}]}", WireCode.INVALID_FIELD),
        ('{"type":"send_chat","attachments":[' + "{}," * 10 + "{}]}", WireCode.INVALID_FIELD),
        ('{"type":"audio"}', WireCode.INVALID_FIELD),
        ('{"type":"audio","audio":[1,2]}', WireCode.INVALID_FIELD),
        ('{"type":"audio","audio":"AAA"}', WireCode.INVALID_BASE64),
        ('{"type":"audio","audio":"A A="}', WireCode.INVALID_BASE64),
        ('{"type":"audio","audio":"é"}', WireCode.INVALID_BASE64),
        ('{"type":"audio","audio":"\\ud800"}', WireCode.INVALID_BASE64),
        ('{"type":"audio","audio":"AA=="}', WireCode.ODD_BYTE_COUNT),
        ('{"type":"audio","audio":"","sample_rate":"24000"}', WireCode.INVALID_FIELD),
        ('{"type":"audio","audio":"","sample_rate":24000.5}', WireCode.INVALID_FIELD),
        ('{"type":"audio","audio":"","sample_rate":true}', WireCode.INVALID_FIELD),
        ('{"type":"audio","audio":"","sample_rate":7999}', WireCode.UNSUPPORTED_RATE),
        ('{"type":"audio_config","sample_rate":48001}', WireCode.UNSUPPORTED_RATE),
        ('{"type":"audio_config","sample_rate":-16000}', WireCode.UNSUPPORTED_RATE),
        ('{"type":"audio_config","sample_rate":' + "9" * 4_000 + "}", WireCode.UNSUPPORTED_RATE),
        ('{"type":"audio_config","receive":1}', WireCode.INVALID_FIELD),
        ('{"type":"audio_config","receive":"true"}', WireCode.INVALID_FIELD),
        ('{"type":"transcript","text":"x"}', WireCode.INVALID_FIELD),
        ('{"type":"transcript","speaker":"","text":"x"}', WireCode.INVALID_FIELD),
    ],
)
def test_nonsense_is_refused_by_code(frame: str | bytes, code: WireCode) -> None:
    with pytest.raises(WireError) as caught:
        parse(frame)
    assert caught.value.code is code
    told = caught.value.to_wire()
    assert told == {"type": "call_error", "message": caught.value.message, "code": str(code)}
    assert json.loads(wire.encode(told)) == told


def test_half_a_sample_in_a_binary_frame() -> None:
    assert wire.pcm_bytes(PCM) is PCM
    with pytest.raises(WireError, match="got 3 bytes") as caught:
        wire.pcm_bytes(b"abc")
    assert caught.value.code is WireCode.ODD_BYTE_COUNT


def test_built_messages_have_the_shapes_of_the_contract() -> None:
    assert wire.call_error("no") == {"type": "call_error", "message": "no"}
    assert wire.call_error("no", "bridge_disconnected")["code"] == "bridge_disconnected"


@pytest.mark.parametrize(
    ("declared_hz", "resampling", "frame_bytes"), [(48_000, False, 1_920), (24_000, True, 960)]
)
def test_audio_config_reply(declared_hz: int, resampling: bool, frame_bytes: int) -> None:
    reply = told.audio_config(
        AudioFormat(48_000),
        AudioFormat(declared_hz),
        receive=True,
        speech_events=False,
        barge_in=True,
        ready=True,
    )
    assert reply == {
        "type": "audio_config",
        "sample_rate": declared_hz,
        "native_sample_rate": 48_000,
        "resampling": resampling,
        "format": "pcm_s16le",
        "channels": 1,
        "frame_duration_ms": 20,
        "frame_bytes": frame_bytes,
        "receive": True,
        "speech_events": False,
        "barge_in": True,
        "ready": True,
    }


def test_text_frames_keep_their_letters() -> None:
    assert wire.encode(wire.call_error("Zoë, naïve 🎧")) == '{"type":"call_error","message":"Zoë, naïve 🎧"}'
