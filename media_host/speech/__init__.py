"""Speech synthesis and recognition in child processes."""
