"""From a registry's version to production and back: who, on what evidence, and who is told."""
