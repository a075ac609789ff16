"""`python -m afterword` is the command `afterword`."""

from afterword.cli import main

main()
