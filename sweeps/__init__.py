"""From a spec to many trainings: the search, its trials on Ray, the plan, and the command line."""
