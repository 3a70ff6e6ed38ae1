"""From a record to its pull request: which record, which pull request, comment and status."""
