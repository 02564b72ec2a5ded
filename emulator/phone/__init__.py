"""Scripted callers: people on a phone who speak, press keys, listen, interrupt and hang up."""
