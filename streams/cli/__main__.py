"""`python -m streams.cli` is the `tidegate` command, for where the script is not on PATH."""

from streams.cli import main

if __name__ == "__main__":
    main(prog_name="tidegate")
