"""Entry point of the `depotclient` command."""

from evtransport.cli.start import start


def main() -> None:
    """Run the command line."""
    start("depotclient", "depotclient.cli.app:app")


if __name__ == "__main__":
    main()
