"""The captions, in Chinese and English, and the vocabulary learnt from them."""
