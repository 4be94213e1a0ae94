"""The entry of the `thorclient` command, which tells how to install what it needs."""


def main() -> None:
    """Run the command line; exit with status 1 where the extra `cli` is not installed."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        raise SystemExit(
            "thorclient needs the cli extra: pip install 'thor-depot-clients[cli]'"
        ) from None
    try:
        from evtransport.cli import base
        from thorclient.cli import app
    except KeyboardInterrupt:  # Ctrl-C while this loads
        raise SystemExit(130) from None
    base.main(app, "thorclient")


if __name__ == "__main__":
    main()
