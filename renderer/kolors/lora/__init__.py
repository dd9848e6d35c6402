"""LoRA files: what is in them, whose names they use, how they are merged into a UNet, converted and written."""
