"""The networks of TransGAN."""
