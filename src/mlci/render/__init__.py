"""Documents turned into text and pages: pure."""
