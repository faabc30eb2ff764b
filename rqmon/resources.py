"""Where the files that are no Python are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
