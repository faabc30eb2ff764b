"""Tests of the project in the folder ROOT."""

from pathlib import Path

ROOT = Path(__file__).parents[1]
