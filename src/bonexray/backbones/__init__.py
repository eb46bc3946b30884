"""Backbones, networks without their top: their layers, weights and cost."""
