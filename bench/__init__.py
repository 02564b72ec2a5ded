"""Calls per core of the media host against a bare relay."""
