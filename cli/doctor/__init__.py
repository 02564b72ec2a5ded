"""`patchcord doctor`: every link of the chain from a ringing telephone to the agent, tried one by one (docs/doctor.md)."""
