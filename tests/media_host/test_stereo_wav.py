import os
import stat
import wave

import numpy as np
import pytest

from media_host.stereo_wav import StereoWav, open_new


def read(path):
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        return np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)


def finish(wav, length):
    wav.flush(length)
    wav.close()


def ones(count, value=1):
    return np.full(count, value, "<i2")


def test_samples_stand_where_they_were_put_and_silence_between(tmp_path):
    wav = StereoWav(tmp_path / "call.wav", 8000)
    wav.put(0, 100, ones(50))
    wav.put(1, 300, ones(10, 7))
    wav.flush(200)
    finish(wav, 400)
    heard = read(tmp_path / "call.wav")
    assert len(heard) == 400
    assert heard[:, 0].nonzero()[0].tolist() == list(range(100, 150))
    assert heard[:, 1].nonzero()[0].tolist() == list(range(300, 310))
    assert set(heard[300:310, 1]) == {7}


@pytest.mark.parametrize("step", [1, 37, 400, 999, 4000, 9000])
def test_the_size_of_the_pieces_makes_no_difference(tmp_path, step):
    wav = StereoWav(tmp_path / "call.wav", 1000, window_s=2)
    left, right = np.arange(1, 9001, dtype="<i2"), -np.arange(1, 9001, dtype="<i2")
    for start in range(0, 9000, step):
        wav.put(0, start, left[start : start + step])
        wav.put(1, start, right[start : start + step])
        wav.flush(start)
    finish(wav, 9000)
    heard = read(tmp_path / "call.wav")
    if step <= 1000:
        assert (heard[:, 0] == left).all() and (heard[:, 1] == right).all()
    else:  # one side ran ahead by more than the window: the other keeps what still fits
        assert (heard[:, 0] == left).all()
        assert all(sample in (0, -index - 1) for index, sample in enumerate(heard[:, 1]))


def test_clear_takes_back_what_is_not_written_and_only_on_its_side(tmp_path):
    wav = StereoWav(tmp_path / "call.wav", 1000)
    wav.put(0, 0, ones(1000))
    wav.put(1, 0, ones(1000))
    wav.flush(300)
    wav.clear(1, 600)
    wav.put(1, 800, ones(100, 5))
    finish(wav, 1000)
    heard = read(tmp_path / "call.wav")
    assert heard[:, 0].all()
    assert heard[:600, 1].all() and not heard[600:800, 1].any()
    assert set(heard[800:900, 1]) == {5} and not heard[900:, 1].any()


def test_samples_for_what_is_already_written_change_nothing(tmp_path):
    wav = StereoWav(tmp_path / "call.wav", 1000)
    wav.flush(500)
    wav.put(0, 400, ones(50))
    wav.put(0, 480, ones(100))
    finish(wav, 600)
    assert read(tmp_path / "call.wav")[:, 0].nonzero()[0].tolist() == list(range(500, 580))


def test_the_file_can_be_played_after_every_piece_without_being_closed(tmp_path):
    wav = StereoWav(tmp_path / "call.wav", 1000)
    for second in range(1, 6):
        wav.put(0, (second - 1) * 1000, ones(1000))
        wav.flush(second * 1000)
        assert len(read(tmp_path / "call.wav")) == second * 1000
    wav.close()
    wav.close()


def test_nothing_is_overwritten_and_only_the_owner_reads(tmp_path):
    made = []
    for _ in range(3):
        file, path = open_new(tmp_path / "deeper" / "call.wav")
        os.close(file)
        made.append(path)
    assert [path.name for path in made] == ["call.wav", "call-2.wav", "call-3.wav"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
