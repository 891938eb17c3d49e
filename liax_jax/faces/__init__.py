"""Faces in pictures and videos: finding them, following them, square crops around them."""
