"""Entry point of the `thorclient` command."""

from evtransport.cli.start import start


def main() -> None:
    """Run the command line."""
    start("thorclient", "thorclient.cli.app:app")


if __name__ == "__main__":
    main()
