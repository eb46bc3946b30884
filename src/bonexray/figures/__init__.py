"""Figures, by the stage that draws them."""
