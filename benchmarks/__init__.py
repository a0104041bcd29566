"""What the project promises of its speed and its memory, measured as ratios on the machine at hand."""
