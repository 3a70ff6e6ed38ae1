"""From a repository that has never heard of mlci to its configuration and workflows: what `mlci init` knows."""
