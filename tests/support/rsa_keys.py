"""RSA keys for whoever plays ACS in a test. Making one takes some 80 ms of CPU, and a run would want a thousand."""

import itertools
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa

KEYS = 4
"""Each process makes this many, when they are first wanted; signers get them in turn, so neighbours differ."""


@cache
def rsa_key(number: int) -> rsa.RSAPrivateKey:
    """The process's key of this number: always the same one, and another for another number (2048 bits)."""
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


_turns = itertools.count()  # one step is atomic: emulators make their signers in threads


def next_key() -> rsa.RSAPrivateKey:
    """Not the key that was given out last."""
    return rsa_key(next(_turns) % KEYS)
