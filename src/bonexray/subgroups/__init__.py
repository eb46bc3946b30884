"""How the chosen model does in each subgroup of the record, and whether its scores may be those of a confounder."""
