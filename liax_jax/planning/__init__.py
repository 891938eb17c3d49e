"""What a training step needs on hardware that isn't there: compiled ahead of time, and read."""
