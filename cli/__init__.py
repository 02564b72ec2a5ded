"""The `patchcord` command."""
