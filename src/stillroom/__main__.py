"""The `stillroom` command from its first moment on."""

from stillroom.base.interrupts import ends_at_once


def main() -> None:
    with ends_at_once():
        from stillroom.cli import main as command
    command()


if __name__ == "__main__":
    main()
