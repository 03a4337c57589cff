"""GroupViT (Xu et al., 2022)."""
