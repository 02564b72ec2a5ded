"""Media operations of a call: play, recognise, keys, transcription. Each is a pure state machine with a thin shell."""
