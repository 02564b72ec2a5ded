"""A small, repeatable part of what `python -m tests.http_api.schemathesis` does."""

import pytest

from tests.http_api.schemathesis import run


@pytest.mark.e2e
async def test_generated_requests_find_nothing(tmp_path, capfd):
    options = [
        *("-n", "5", "--seed", "4711", "--phases", "examples,fuzzing", "--no-shrink"),
        *(
            "--exclude-operation-id-regex",
            "_(callbacks|incoming|compatible)",
        ),  # other names of the same doors
    ]
    code = await run(options, tmp_path)
    assert code == 0, capfd.readouterr().out[-5000:]
