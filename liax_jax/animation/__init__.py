"""Animating and editing portraits with a trained model."""
