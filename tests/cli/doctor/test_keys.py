import time
from dataclasses import replace

import pytest

from cli.doctor.finding import State
from cli.doctor.keys import check
from cli.doctor.mend_keys import mend
from emulator.key_vault import KeyVaultEmulator
from shared.security.keyring import (
    KeyVaultKeySource,
    ensure_keys,
    new_document,
    parse_document,
    public_part,
    serialise,
)
from tests.support.tls import tls_for

TLS = tls_for("emulator.vault.azure.net")
DAY_S = 86_400


@pytest.fixture
def places(tmp_path):
    return {
        "PATCHCORD_SIGNING_KEYS": f"file:{tmp_path / 'signing.json'}",
        "PATCHCORD_VERIFICATION_KEYS": f"file:{tmp_path / 'verification.json'}",
    }


@pytest.fixture
async def key_vault():
    vault = KeyVaultEmulator(TLS.server)
    await vault.start()
    yield vault
    await vault.close()


async def broken(exam):
    return {one.check: one async for one in check(exam) if one.state is State.BROKEN}


def write(places, document, public=None):
    for place, text in zip(places.values(), (document, public or public_part(document)), strict=True):
        path = place.removeprefix("file:")
        with open(path, "w") as file:
            file.write(serialise(text))


@pytest.mark.parametrize("how", ["ensure", "rotate", "replace"])
async def test_the_cure_cures(make_exam, places, tmp_path, how):
    """No public copy, then private keys in it: what the doctor says is done, and it is well again."""
    await mend("ensure", *places.values())
    exam = make_exam(**places)
    assert await broken(exam) == {}
    before = parse_document((tmp_path / "signing.json").read_text())
    (tmp_path / "verification.json").unlink()
    found = await broken(exam)
    assert (
        found["PATCHCORD_VERIFICATION_KEYS"].mend
        == f"python -m cli.doctor.mend_keys ensure {' '.join(places.values())}"
    )
    await mend(how, *places.values())
    assert await broken(exam) == {}
    after = parse_document((tmp_path / "signing.json").read_text())
    kept = {key.kid for key in before.keys} & {key.kid for key in after.keys}
    assert len(kept) == {"ensure": 3, "rotate": 3, "replace": 0}[how]


async def test_old_keys(make_exam, places):
    write(places, new_document(time.time() - 181 * DAY_S))
    exam = make_exam(**places)
    found = await broken(exam)
    assert "181 days old" in found["rotation"].found
    assert "mend_keys rotate" in found["rotation"].mend


async def test_keys_of_the_future(make_exam, places):
    write(places, new_document(time.time() + DAY_S))
    assert "in the future" in (await broken(make_exam(**places)))["rotation"].found


async def test_an_audience_without_a_key(make_exam, places):
    whole = new_document(time.time())
    write(places, replace(whole, keys=whole.keys[1:]))
    assert whole.keys[0].audience in (await broken(make_exam(**places)))["signing"].found


async def test_a_key_of_the_same_name_with_another_public_half(make_exam, places):
    ours, others = new_document(time.time()), new_document(time.time())
    twins = [replace(other, kid=key.kid) for key, other in zip(ours.keys, others.keys, strict=True)]
    write(places, ours, public_part(replace(others, keys=tuple(twins))))
    assert "3 of 3" in (await broken(make_exam(**places)))["both agree"].found


async def test_no_key_document(make_exam, places, tmp_path):
    write(places, new_document(time.time()))
    (tmp_path / "signing.json").write_text("not json")
    found = (await broken(make_exam(**places)))["PATCHCORD_SIGNING_KEYS"]
    assert found.found.startswith("no key document")


async def test_in_a_key_vault(make_exam, key_vault, monkeypatch):
    """The real client against the emulated vault: there, then late by what Key Vault's own event should have done, then shut."""
    addresses = {
        f"PATCHCORD_{which.upper()}_KEYS": f"https://emulator.vault.azure.net/secrets/{which}"
        for which in ("signing", "verification")
    }

    def source(address, _identity=""):
        name = address.rpartition("/")[2]
        return KeyVaultKeySource(
            "https://emulator.vault.azure.net",
            name,
            credential=key_vault.credential(),
            transport=key_vault.transport(TLS.client),
        )

    monkeypatch.setattr("cli.doctor.keys.open_key_source", source)
    exam = make_exam({"keys_with": "azd hooks run postprovision"}, **addresses)
    found = await broken(exam)
    assert set(found) == set(addresses)
    assert found["PATCHCORD_SIGNING_KEYS"].mend == "azd hooks run postprovision"
    for days, names in ((63, {"rotation"}), (1, set())):
        key_vault.secrets.clear()
        private, public = map(source, addresses.values())
        await ensure_keys(private, public, time.time() - days * DAY_S)
        await private.close()
        await public.close()
        found = await broken(exam)
        assert set(found) == names
    key_vault.failing = 403
    found = await broken(exam)
    assert "Key Vault Secrets User" in found["PATCHCORD_SIGNING_KEYS"].mend
    exam.no_token.add("https://vault.azure.net/.default")
    assert await broken(exam) == {}
