"""TransGAN (Jiang, Chang, Wang 2021, arXiv:2102.07074): the model, its training, its samples."""
