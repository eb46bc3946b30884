"""What a trained network looked at, and whether that follows from what it learnt."""
