"""What things cost, as ratios within one run; nothing here is a test."""
