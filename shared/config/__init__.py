"""`patchcord.yaml`: what answers which number, read and checked once by each process at its start."""
