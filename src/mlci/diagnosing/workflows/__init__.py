"""Workflow files that use mlci: what in them cannot fire, may too little, or may too much."""
