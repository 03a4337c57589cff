"""`python -m sightline`, for programs that start a module: `torchrun -m sightline train ...`."""

from sightline.cli.main import run

if __name__ == "__main__":
    run()
