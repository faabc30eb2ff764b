"""`python -m dashboards.lint`: checks the generated dashboards."""

from dashboards.lint.rules import main

if __name__ == "__main__":
    main()
