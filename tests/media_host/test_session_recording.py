"""A call through the media host is recorded."""

import asyncio
import wave

import numpy as np

from tests.support.media_world import open_media_world


async def test_recording_is_as_long_as_the_call_and_has_both_sides(tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "media_host")
    async with open_media_world(tmp_path, monkeypatch, recordings=tmp_path / "rec") as world:
        (tmp_path / "rec").mkdir()
        call_id, line, agent = await world.talk("recorded")
        agent.speak(200, fill=3)
        for _ in range(25):
            await line.speak(fill=7)
            await asyncio.sleep(0.02)
        await line.hang_up()
        record = await world.ended(call_id)
        path = tmp_path / "rec" / record.recording["file"]
        assert abs(record.recording["ms"] - record.media.duration_ms) <= 40
        assert record.recording["consent"] is True
        assert f"call {call_id}: recorded, consent: yes" in caplog.text
        with wave.open(str(path)) as file:
            assert file.getnchannels() == 2 and file.getframerate() == 24000
            samples = file.readframes(file.getnframes())
            assert abs(file.getnframes() / 24 - record.media.duration_ms) <= 40
        frames = [samples[at : at + 4] for at in range(0, len(samples), 4)]
        assert sum(item[:2] == b"\7\7" for item in frames) > 24 * 400
        assert sum(item[2:] == b"\3\3" for item in frames) > 24 * 150


async def test_ten_keys_in_a_second_cost_no_audio_and_leave_no_gap_in_the_recording(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, recordings=tmp_path / "rec") as world:
        call_id, line, agent = await world.talk("recorded")
        agent.speak(1500, fill=3)
        due = asyncio.get_running_loop().time()
        for number in range(75):
            await line.speak(fill=7)
            if number % 5 == 0 and number // 5 in range(10):
                await line.key("0123456789"[number // 5])
            due += 0.02  # as a telephone does: what came late is followed by what is due
            await asyncio.sleep(due - asyncio.get_running_loop().time())
        await world.eventually(lambda: agent.turns == ["t1"] and len(agent.heard) == 75)
        assert agent.keys == list("0123456789")
        await line.hang_up()
        record = await world.ended(call_id)
        with wave.open(str(tmp_path / "rec" / record.recording["file"])) as file:
            sides = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        for side in (0, 1):
            spoken = np.flatnonzero(sides[:, side])
            assert len(spoken) >= 74 * 480
            assert np.diff(spoken).max() <= 24 * 40, "samples between two that were spoken: 40 ms at most"


async def test_no_recording_unless_configured(tmp_path, monkeypatch):
    async with open_media_world(tmp_path, monkeypatch, recordings=tmp_path / "rec") as world:
        call_id, line, _ = await world.talk("puppet")
        await line.hang_up()
        assert (await world.ended(call_id)).recording is None
        assert not (tmp_path / "rec").exists()
