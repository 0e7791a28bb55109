"""The `stillroom` command from its first moment on."""

from stillroom.base.interrupts import ends_at_once
from stillroom.base.standard_streams import open_standard_streams


def main() -> None:
    open_standard_streams()
    with ends_at_once():
        from stillroom.cli import main as command
    command()


if __name__ == "__main__":
    main()
