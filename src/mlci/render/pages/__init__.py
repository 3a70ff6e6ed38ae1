"""Pages to open in a browser: each one file, with all that it needs inside."""
