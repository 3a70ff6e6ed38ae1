"""Makes a production script of a notebook, and proves that it does the same.

A script is written whole or not at all: what cannot be translated truthfully is refused, with its cell and line.
"""
