"""Continuous machine learning on GitHub, as an Action and as a command line."""

__version__ = "0.1.0"
