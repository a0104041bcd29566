"""The two colours that mean base and head everywhere.

Grey and blue keep apart for every kind of colour blindness; both have a contrast of at least 3 : 1 (WCAG 2.2,
1.4.11) against white and against GitHub's dark background.
"""

BASE = "#8b949e"
HEAD = "#2f81f7"
#: Words and axes of a figure on either background.
INK = "#7d8590"
