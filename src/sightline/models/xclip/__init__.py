"""X-CLIP (Ni et al., 2022)."""
