"""The folder that every run finds on its Python path; only mlci_log.py lives here."""
