"""The frame reader against an independent implementation (`websockets`), and against what must not come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame as TheirFrame
from websockets.frames import Opcode

from exconnect.errors import TransportError
from exconnect.transport.frames import BINARY, CLOSE, CONTINUATION, MAX_FRAME, PING, PONG, TEXT, FrameReader


def wire(opcode, payload=b"", *, fin=True):
    return TheirFrame(Opcode(opcode), payload, fin).serialize(mask=False)


def cut(data, sizes):
    """The same bytes in pieces."""
    position = 0
    for size in sizes:
        yield data[position : position + size]
        position += size
    yield data[position:]


payloads = st.one_of(
    st.binary(max_size=40),
    st.integers(0, 70_000).map(lambda size: b"x" * size),
    st.sampled_from([b"y" * size for size in (125, 126, 127, 65_535, 65_536)]),
)
controls = st.tuples(st.sampled_from([PING, PONG]), st.binary(max_size=125))


@st.composite
def conversations(draw):
    """What a server may send: messages in any number of parts, with control frames between them."""
    data, expected = b"", []
    for opcode in draw(st.lists(st.sampled_from([TEXT, BINARY]), max_size=5)):
        parts = draw(st.lists(payloads, min_size=1, max_size=4))
        for number, part in enumerate(parts):
            data += wire(opcode if number == 0 else CONTINUATION, part, fin=number == len(parts) - 1)
            if number < len(parts) - 1 and draw(st.booleans()):
                control = draw(controls)
                data += wire(*control)
                expected.append(control)
        expected.append((opcode, b"".join(parts)))
    return data, expected


@given(conversations(), st.lists(st.integers(0, 5000), max_size=30))
def test_however_it_is_cut_the_messages_are_the_same(conversation, sizes):
    data, expected = conversation
    reader = FrameReader()
    frames = [frame for piece in cut(data, sizes) for frame in reader.feed(piece)]
    assert [tuple(frame) for frame in frames] == expected


@given(conversations())
def test_byte_by_byte(conversation):
    data, expected = conversation
    data = data[:3000]
    reader = FrameReader()
    frames = [frame for byte in data for frame in reader.feed(bytes([byte]))]
    assert [tuple(frame) for frame in frames] == expected[: len(frames)]


@given(st.binary(max_size=200), st.lists(st.integers(0, 50), max_size=10))
def test_any_bytes_give_frames_or_a_transport_error(data, sizes):
    reader = FrameReader()
    try:
        for piece in cut(data, sizes):
            reader.feed(piece)
    except TransportError:
        pass


@pytest.mark.parametrize(
    "data",
    [
        b"\xc1\x01x",
        TheirFrame(Opcode.TEXT, b"x").serialize(mask=True),
        TheirFrame(Opcode.TEXT, b"x" * 300).serialize(mask=True),
        b"\x83\x00",
        b"\x8b\x00",
        b"\x09\x00",
        b"\x89\x7e\x00\x7e" + b"x" * 126,
        wire(CONTINUATION, b"x"),
        wire(TEXT, b"x", fin=False) + wire(TEXT, b"x"),
        b"\x81\x7f\xff\xff\xff\xff\xff\xff\xff\xff",
        b"\x81\x7f" + (MAX_FRAME + 1).to_bytes(8, "big"),
    ],
    ids=[
        "compressed",
        "masked",
        "masked and long",
        "unknown data",
        "unknown control",
        "control in parts",
        "control too long",
        "continues nothing",
        "begins in between",
        "longer than anything",
        "longer than we take",
    ],
)
def test_what_a_server_must_not_send(data):
    with pytest.raises(TransportError):
        FrameReader().feed(data)


def test_a_message_in_parts_has_a_limit_too():
    reader = FrameReader(max_frame=100, max_message=150)
    assert reader.feed(wire(TEXT, b"x" * 100, fin=False)) == []
    with pytest.raises(TransportError, match="more than is taken"):
        reader.feed(wire(CONTINUATION, b"x" * 51))


def test_the_limit_is_seen_before_the_bytes_are_there():
    with pytest.raises(TransportError):
        FrameReader(max_frame=100).feed(b"\x81\x7e\x00\x65")


def test_a_close_frame_is_handed_on():
    assert FrameReader().feed(wire(CLOSE, b"\x03\xe8bye")) == [(CLOSE, b"\x03\xe8bye")]


def test_what_came_before_a_bad_frame_is_given_first():
    reader = FrameReader()
    assert reader.feed(wire(TEXT, b"one") + b"\x83\x00" + wire(TEXT, b"two")) == [(TEXT, b"one")]
    assert reader.failure is not None
    with pytest.raises(TransportError, match="unknown kind"):
        reader.feed(wire(TEXT, b"three"))
