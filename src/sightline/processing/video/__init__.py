"""Videos: read, sampled by time, and cut into shots."""
