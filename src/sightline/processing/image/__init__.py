"""Pictures: read from files, brought to 8-bit RGB, and to a model's size and values."""
