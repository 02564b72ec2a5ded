from shared.openapi.errors import ABOUT


def test_a_code_means_one_thing():
    codes = [kind.code for kind in ABOUT]
    assert sorted(codes) == sorted(set(codes))
    assert all(kind.code.startswith(f"{kind.status}-") for kind in ABOUT)
