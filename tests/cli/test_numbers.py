import io

import pytest

from cli.__main__ import parser, run
from cli.numbers import numbers
from shared.errors import InvalidInput, NotFound


async def ask(*words):
    out = io.StringIO()
    code = await numbers(parser().parse_args(["numbers", *words]), out)
    return code, out.getvalue()


async def test_the_pool(tmp_path):
    store = ("--store", f"sqlite:{tmp_path / 'store.db'}")
    assert await ask("add", "+18005550100", "us", *store) == (0, "+18005550100 is in the pool\n")
    await ask("add", "+442079460000", "GB", *store)
    await ask("disable", "+442079460000", *store)
    code, text = await ask("list", *store)
    assert (code, text.splitlines()) == (
        0,
        [
            "number            country  state       transfer",
            "+18005550100      US       free",
            "+442079460000     GB       disabled",
            "2 numbers, 1 free",
        ],
    )


async def test_mistakes_are_told(tmp_path):
    store = ("--store", f"sqlite:{tmp_path / 'store.db'}")
    with pytest.raises(InvalidInput, match=r"E\.164"):
        await ask("add", "18005550100", "US", *store)
    with pytest.raises(NotFound, match="not in the pool"):
        await ask("disable", "+18005550100", *store)


async def test_its_size():
    code, text = await ask("size", "--per-second", "1", "--until-call", "45")
    assert code == 0
    assert text.startswith("119 numbers: 1 transfers a second, each holding a number for 92 s")
    assert await run(parser().parse_args(["numbers", "size", "--per-second", "0.1"])) == 0
