"""Where versions of models lie and who holds which stage: one small protocol, three backends."""
