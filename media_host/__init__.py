"""The always-on process that carries the audio of calls."""
