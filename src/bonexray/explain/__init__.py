"""Heat maps, and whether they follow from what a network has learnt."""
