"""`python -m renderer` is the command `storyboard`."""

from renderer.cli import main

if __name__ == "__main__":
    main()
