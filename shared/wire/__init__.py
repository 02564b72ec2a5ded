"""Sans-I/O wire formats: bytes in, typed values out; no clock, no socket, no Azure import."""
