"""``python -m voxpipe`` is the command ``voxpipe``."""

from voxpipe.cli import main

if __name__ == "__main__":
    main()
