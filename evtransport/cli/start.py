"""Start of a command line, with a message if its extra is not installed."""

from pkgutil import resolve_name

__all__ = ["start"]


def start(name: str, app: str) -> None:
    """Run a command line. The imports are inside, so that Ctrl-C during them prints no traceback.

    Args:
        name: Name of the command.
        app: Module and name of its typer app, such as `package.module:app`.

    Raises:
        SystemExit: Always, with the exit status. It is 1 if the extra `cli` is not installed.
    """
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ImportError:
        message = f"{name} needs the cli extra: pip install 'thor-depot-clients[cli]'"
        raise SystemExit(message) from None
    try:
        from evtransport.cli.run import main

        loaded = resolve_name(app)
    except KeyboardInterrupt:
        raise SystemExit(130) from None
    main(loaded, name)
