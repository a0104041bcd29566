"""Real services, and stand-ins for those that cannot run here, for the tests to talk to."""
