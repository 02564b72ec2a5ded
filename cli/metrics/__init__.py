"""The local view: what a collector sees of `patchcord up`, as one page, and a call's trace as a picture."""
