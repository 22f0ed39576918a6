"""Records of trials, what they say when compared, and the HTML and CSV that show it."""
