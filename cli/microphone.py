"""The person at the machine as the caller: microphone and loudspeaker through programs that most systems have."""

import asyncio
import contextlib
import os
import re
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass

import aiohttp

from cli.remote_phone import RemoteCall, RemotePhone
from shared.errors import PatchcordError

KEYS = re.compile(r"[0-9*#]{1,64}")
PIECE = 4096
PLAYED_WITHIN_S = 2.0

ALSA = ("-q", "-t", "raw", "-f", "S16_LE", "-c", "1", "-r", "{rate}", "--buffer-time=200000")
PULSE = ("--raw", "--format=s16le", "--channels=1", "--rate={rate}", "--latency-msec=40")
SOX = (
    "-q",
    "--buffer",
    "2048",
    "-t",
    "raw",
    "-e",
    "signed",
    "-b",
    "16",
    "-L",
    "-c",
    "1",
    "-r",
    "{rate}",
    "-",
)
PAIRS = (("arecord", "aplay", ALSA), ("parec", "pacat", PULSE), ("rec", "play", SOX))


@dataclass(frozen=True, slots=True)
class Programs:
    """What records to its output and what plays its input: PCM16LE mono.

    Attributes:
        recorder: path of the program that records.
        player: path of the program that plays.
        options: of both; `{rate}` stands for the sample rate (Hz).
    """

    recorder: str
    player: str
    options: tuple[str, ...]

    async def start(self, program: str, rate: int) -> Process:
        """Run one of the two; in a session of its own, so that Ctrl-C does not end it before the call.

        Raises:
            PatchcordError: it cannot be run.
        """
        options = [option.format(rate=rate) for option in self.options]
        recording = program == self.recorder
        try:
            return await asyncio.create_subprocess_exec(
                program,
                *options,
                stdin=DEVNULL if recording else PIPE,
                stdout=PIPE if recording else DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise PatchcordError(f"{program}: {error.strerror}") from None


def find_programs() -> Programs:
    """The first pair on PATH: ALSA's, PulseAudio's (PipeWire has them, too), sox's.

    Raises:
        PatchcordError: there is none; says what to install.
    """
    for recorder, player, options in PAIRS:
        records, plays = shutil.which(recorder), shutil.which(player)
        if records and plays:
            return Programs(records, plays, options)
    raise PatchcordError(
        "--mic needs programs that record and play: install alsa-utils (arecord, aplay), "
        "pulseaudio-utils (parec, pacat) or sox (rec, play)"
    )


async def converse(phone: RemotePhone, call: RemoteCall, programs: Programs) -> None:
    """Carry sound both ways from the answer until the call has ended.

    Raises:
        PatchcordError: a program stopped in mid-call.
    """
    async with phone.hearing(call) as heard:
        if heard is None:
            return
        rate, pcm = heard
        recorder = await programs.start(programs.recorder, rate)
        tasks = []
        try:
            player = await programs.start(programs.player, rate)
            try:
                hearing = asyncio.create_task(_play(pcm, player))
                speaking = asyncio.create_task(phone.speak(call, _recorded(recorder)))
                tasks = [hearing, speaking]
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not hearing.done() and recorder.stdout is not None and recorder.stdout.at_eof():
                    raise _Stopped(programs.recorder)
                try:
                    await hearing
                except (BrokenPipeError, ConnectionResetError):
                    raise _Stopped(programs.player) from None
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                await _finish(player)
        finally:
            _kill(recorder)
            await recorder.wait()


class _Stopped(PatchcordError):
    def __init__(self, program: str) -> None:
        super().__init__(f"{os.path.basename(program)} stopped: no sound device? What it says stands above.")


async def _recorded(recorder: Process) -> AsyncIterator[bytes]:
    if recorder.stdout is not None:
        while piece := await recorder.stdout.read(PIECE):
            yield piece


async def _play(pcm: AsyncIterator[bytes], player: Process) -> None:
    if player.stdin is None:
        return
    with contextlib.suppress(aiohttp.ClientError):  # the emulator has gone, and the call with it
        async for piece in pcm:
            player.stdin.write(piece)
            await player.stdin.drain()


async def _finish(player: Process) -> None:
    """Let it play what it has."""
    if player.stdin is not None:
        player.stdin.close()
    try:
        async with asyncio.timeout(PLAYED_WITHIN_S):
            await player.wait()
    except TimeoutError:
        pass
    finally:
        _kill(player)
        await player.wait()


def _kill(process: Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()


@contextlib.asynccontextmanager
async def typed_keys(
    phone: RemotePhone, call: RemoteCall, refuse: Callable[[], object]
) -> AsyncIterator[None]:
    """Press what is typed on the terminal, line by line, in the meantime; `refuse` is called for a line that is no keys."""
    lines: asyncio.Queue[str] = asyncio.Queue(32)
    loop = asyncio.get_running_loop()
    begun = b""

    def readable() -> None:
        nonlocal begun
        piece = os.read(descriptor, 1024)
        if not piece:
            loop.remove_reader(descriptor)
        *whole, begun = (begun + piece).split(b"\n")
        begun = begun[:1024]
        for line in whole:
            text = line.decode(errors="replace").strip()
            if KEYS.fullmatch(text) and not lines.full():
                lines.put_nowait(text)
            elif text:
                refuse()

    async def press() -> None:
        while True:
            text = await lines.get()
            if not await phone.press(call, text):
                refuse()

    try:
        descriptor = sys.stdin.fileno()
        loop.add_reader(descriptor, readable)
    except (OSError, ValueError):  # no terminal, but a file or nothing at all
        yield
        return
    pressing = asyncio.create_task(press())
    try:
        yield
    finally:
        loop.remove_reader(descriptor)
        pressing.cancel()
        await asyncio.gather(pressing, return_exceptions=True)
