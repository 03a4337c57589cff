"""Videos: read, sampled by time, and cut into moments."""
