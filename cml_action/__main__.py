"""`python -m cml_action` is the command line."""

from cml_action.cli import main

main()
