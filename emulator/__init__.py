"""ACS, Event Grid, the Functions host and the phone, all on loopback."""
