"""Trains LoRAs, embeddings and hypernetworks: a recipe and pictures in, a file that storyboards use by name out."""
