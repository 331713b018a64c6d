"""Run by a test in a process of its own: open images, and print what each of them holds.

python inspect_images.py SCRATCH < pickled list of (base, image) > pickled list of contents
"""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

from laboratory import Inspector


def main() -> None:
    inspector = Inspector(Path(sys.argv[1]))
    images = pickle.load(sys.stdin.buffer)
    contents = [inspector.content(base, image) for base, image in images]
    pickle.dump(contents, sys.stdout.buffer)


if __name__ == "__main__":
    main()
