"""Random configs of each family in the reference's classes, and random inputs for them."""
