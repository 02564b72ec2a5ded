"""A voice agent of your own, behind Patchcord's protocol voice-agent.v1 (docs/voice-agent.md): no model, only its manners.

It greets with a tone and says back what it hears. A key is a beep; keys that end with # are looked up as an order number by
the tool `lookup_order`; 0 hands over to a person. Run: pip install websockets; AGENT_KEY=secret python voice_agent.py 8765
"""

import array
import asyncio
import hmac
import itertools
import json
import math
import os
import sys

from websockets.asyncio.server import serve

KEY = os.environ.get("AGENT_KEY", "")  # the bearer token that only your gateway knows
LOUD, PAUSE_MS = 2000, 600


def let_in(connection, request):
    """Only who knows the key may speak with us."""
    sent, right = request.headers.get("Authorization", ""), f"Bearer {KEY}"
    if KEY and not hmac.compare_digest(sent.encode(), right.encode()):
        return connection.respond(401, "wrong key\n")


def tone(rate, hz, ms):
    """So many milliseconds of a sine, PCM16."""
    wave = (int(6000 * math.sin(2 * math.pi * hz * n / rate)) for n in range(rate * ms // 1000))
    return array.array("h", wave).tobytes()


async def talk(socket):
    """One call."""

    async def send(type, **fields):
        await socket.send(json.dumps({"type": type, **fields}))

    async def speak(text, audio):
        turn = f"t{next(numbers)}"
        await send("turn", turn=turn)
        await send("transcript", who="agent", text=text, turn=turn)
        for at in range(0, len(audio), 96_000):  # a message holds 256 KiB at most
            await socket.send(audio[at : at + 96_000])
        await send("turnEnd", turn=turn)

    start = json.loads(await socket.recv())
    encoding, _, rate = start["codec"].partition("/")
    if encoding != "pcm16":
        return await send("error", code="codec", message="only pcm16", fatal=True)
    rate, numbers, keys, words, quiet_ms = int(rate), itertools.count(1), "", b"", 0.0
    await send("ready", codec=start["codec"])
    if not start["resumed"]:
        await speak(start["greeting"] or "Hello.", tone(rate, 440, 400))
    async for message in socket:
        if isinstance(message, bytes):
            samples = array.array("h", message)
            loud = max(samples) - min(samples) > LOUD
            if loud and not words:
                await send("speechStarted")
            if loud or words:
                words += message
                quiet_ms = 0.0 if loud else quiet_ms + 1000 * len(samples) / rate
            if quiet_ms >= PAUSE_MS:
                await send("speechStopped")
                await speak("(what you said)", words)
                words, quiet_ms = b"", 0.0
            continue
        message = json.loads(message)
        match message["type"]:
            case "dtmf":
                keys += message["digits"]
                await send("interrupt")
                if keys == "0":
                    await speak("I am connecting you.", tone(rate, 660, 300))
                    await send("end", outcome="AGENT", reason="asked_for_human", target="human")
                elif keys.endswith("#"):
                    order = {"order_number": keys[:-1]}
                    await send("toolCall", callId=f"c{next(numbers)}", name="lookup_order", arguments=order)
                    keys = ""
                else:
                    await speak(f"You pressed {message['digits']}.", tone(rate, 880, 120))
            case "toolResult":
                await speak(json.dumps(message["output"]), tone(rate, 550, 300))
            case "say" | "text":
                await speak(message["text"], tone(rate, 330, 300))


async def main(port):
    """Serve calls for ever."""
    settings = {"subprotocols": ["voice-agent.v1"], "process_request": let_in, "compression": None}
    async with serve(talk, "127.0.0.1", port, **settings) as server:
        print(f"listening on ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
