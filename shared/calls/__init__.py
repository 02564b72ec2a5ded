"""A call's life: routing, admission, answering, callbacks, control and the record."""
