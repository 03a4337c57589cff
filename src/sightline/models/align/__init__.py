"""ALIGN (Jia et al., 2021)."""
