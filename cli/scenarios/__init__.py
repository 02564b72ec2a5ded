"""Stories for `patchcord demo --scenario`: several calls, and the requests of the system that makes them."""
