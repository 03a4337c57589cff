"""Any two towers, as `transformers` pairs them in its vision-text dual encoder."""
