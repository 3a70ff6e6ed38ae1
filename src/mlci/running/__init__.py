"""What `mlci run` needs around an executor: plan, interpreter, fingerprints, jobs, outputs."""
