"""Training of TransGAN: losses, augmentation, averaging, checkpoints, and the loop over them."""
