"""What a backbone is put to: classifying images, and detecting objects in them."""
