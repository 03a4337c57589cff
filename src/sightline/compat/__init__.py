"""Names under which scripts written for `transformers` find what Sightline has: views of its own classes."""
