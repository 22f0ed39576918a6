"""What fresh training seeds say of a sweep's finalists, and which seeds still decide something."""
