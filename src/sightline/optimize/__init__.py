"""What makes models small and fast: calibration, pruning, export, profiles."""
