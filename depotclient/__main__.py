"""The entry of the `depotclient` command, which tells how to install what it needs."""


def main() -> None:
    """Run the command line; exit with status 1 where the extra `cli` is not installed."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        raise SystemExit(
            "depotclient needs the cli extra: pip install 'thor-depot-clients[cli]'"
        ) from None
    try:
        from depotclient.cli.app import app
        from evtransport.cli import base
    except KeyboardInterrupt:  # Ctrl-C while this loads
        raise SystemExit(130) from None
    base.main(app, "depotclient")


if __name__ == "__main__":
    main()
