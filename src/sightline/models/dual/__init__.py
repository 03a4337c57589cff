"""Two towers of one's choice, as `transformers` pairs them in its vision-text dual encoder."""
