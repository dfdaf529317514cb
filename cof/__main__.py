"""`python -m cof` is the command `cof`."""

from cof.cli import main

if __name__ == "__main__":
    main()
