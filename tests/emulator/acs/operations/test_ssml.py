"""What SSML says."""

import pytest

from emulator.acs.operations.ssml import BadSsml, Piece, read_ssml

NS = 'version="1.0" xmlns="http://www.w3.org/2001/10/synthesis" xml:lang="en-US"'


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("<speak>Hello  world</speak>", [Piece("Hello world")]),
        (f'<speak {NS}><voice name="en-US-JennyNeural">Hello World!</voice></speak>', [Piece("Hello World!", "en-US-JennyNeural")]),
        ('<speak>One<break time="500ms"/>two<break time="1.5s"/></speak>', [Piece("One", "", 500), Piece("two", "", 1500)]),
        ('<speak>a<break strength="weak"/>b<break/>c</speak>', [Piece("a", "", 500), Piece("b", "", 750), Piece("c")]),
        ("<speak><p>First.</p><p>Sec<emphasis>ond</emphasis>.</p></speak>", [Piece("First."), Piece("Second.")]),
        ('<speak>the <sub alias="World Wide Web">W<b>W</b>W</sub>!</speak>', [Piece("the World Wide Web!")]),
        ("<speak/>", []),
        ("<speak>5 &lt; 6 &amp; 7</speak>", [Piece("5 < 6 & 7")]),
        (f'<speak {NS} xmlns:mstts="x"><mstts:silence/>hi</speak>', [Piece("hi")]),
    ],
)  # fmt: skip
def test_pieces(text: str, pieces: list[Piece]) -> None:
    assert read_ssml(text) == pieces


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hello",
        "<speak>",
        "<html/>",
        "<speak>&bomb;</speak>",
        '<!DOCTYPE s [<!ENTITY a "b">]><speak>&a;</speak>',
    ],
)
def test_what_is_no_ssml(text: str) -> None:
    with pytest.raises(BadSsml):
        read_ssml(text)


def test_a_long_break_is_cut() -> None:
    assert read_ssml('<speak>a<break time="999s"/></speak>')[0].pause_ms == 20_000
