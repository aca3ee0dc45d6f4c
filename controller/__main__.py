"""`python -m controller` is `crossfade`."""

from controller.cli import main


if __name__ == "__main__":
    main()
