import pytest

from shared.config.transfers import Transfer, transfer_mistakes


def test_targets_that_can_be_called_are_right():
    assert list(transfer_mistakes("t", "+18005550199")) == []
    assert list(transfer_mistakes("t", "8:acs:a_b")) == []
    music = ("https://sounds.example/hold.wav", "http://127.0.0.1:8080/hold.wav")
    for url in music:
        assert list(transfer_mistakes("t", Transfer(to="+18005550199", mode="warm", hold_music=url))) == []


@pytest.mark.parametrize(
    ("transfer", "place"),
    [
        ("800", "t"),
        (Transfer(to="nobody"), "t.to"),
        (Transfer(to="+18005550199", ring_s=4), "t.ring_s"),
        (Transfer(to="+18005550199", ring_s=181), "t.ring_s"),
        (Transfer(to="+18005550199", confirm_s=2.9), "t.confirm_s"),
        (Transfer(to="+18005550199", confirm_s=121), "t.confirm_s"),
        (Transfer(to="+18005550199", hold_music="http://sounds.example/hold.wav"), "t.hold_music"),
        (Transfer(to="+18005550199", hold_music="hold.wav"), "t.hold_music"),
        (Transfer(to="+18005550199", hold_music="https://me@sounds.example/hold.wav"), "t.hold_music"),
        (Transfer(to="+18005550199", hold_music="https://sounds.example/hold.wav#x"), "t.hold_music"),
        (Transfer(to="+18005550199", hold_music="http://127.0.0.1:80@sounds.example/"), "t.hold_music"),
    ],
)
def test_a_mistake_is_named_with_its_place(transfer, place):
    [mistake] = transfer_mistakes("t", transfer)
    assert mistake.place == place and mistake.expected
