"""What fresh training seeds of the finalists say: means, verdicts, races, optimism. No torch."""
