"""The report's charts: for each thing that the page shows, how it is drawn, a file a kind."""
