"""What `mlci run` needs around an executor: the interpreter, fingerprints of inputs, jobs, and the outputs that they leave."""
