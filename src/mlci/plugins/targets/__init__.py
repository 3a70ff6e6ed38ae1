"""Where models are deployed."""
