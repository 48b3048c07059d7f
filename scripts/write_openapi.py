"""Write openapi.yaml from the code."""

from pathlib import Path

import yaml

from app.main import create_app


def main() -> None:
    """Write the document of an application with default settings."""
    text = yaml.safe_dump(create_app().openapi(), sort_keys=False, allow_unicode=True, width=120)
    (Path(__file__).resolve().parent.parent / "openapi.yaml").write_text(text)


if __name__ == "__main__":
    main()
