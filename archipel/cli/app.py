"""The ``archipel`` command: its own commands, and those that installed parts add through entry points."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint, entry_points
from typing import Annotated

import typer

from archipel import __version__, errors
from archipel.cli.authority import federation_app, permit_app
from archipel.cli.exits import Exit, exit_code, show
from archipel.cli.queries import register as register_queries
from archipel.cli.receipts import receipt_app

PLUGIN_GROUP = "archipel.commands"

OWN_MODULES = (("synthetic", "archipel.synthetic.cli:synthetic_command"), ("demo", "archipel.demo.cli:demo_command"))
"""Commands of parts that the bare client may lack."""

EXTRAS = {"duckdb": "node", "numpy": "synthetic", "ray": "coordinator", "sqlalchemy": "coordinator", "sqlglot": "node"}
"""Which extra brings a module that a command may miss."""


def build() -> typer.Typer:
    """Return the whole command."""
    app = typer.Typer(
        name="archipel",
        help="Federated SQL over health data that stays where it is.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version and end.")
        ] = False,
    ) -> None:
        """Federated SQL over health data that stays where it is."""

    register_queries(app)
    app.add_typer(federation_app, name="federation")
    app.add_typer(permit_app, name="permit")
    app.add_typer(receipt_app, name="receipt")
    app.command("errors")(list_errors)
    own = [EntryPoint(name, target, PLUGIN_GROUP) for name, target in OWN_MODULES]
    for plugin in [*own, *sorted(entry_points(group=PLUGIN_GROUP), key=lambda p: p.name)]:
        try:
            loaded = plugin.load()
        except ImportError:
            continue  # that part is not installed: its commands are simply not there
        if isinstance(loaded, typer.Typer):
            app.add_typer(loaded, name=plugin.name)
        else:
            app.command(plugin.name)(loaded)
    return app


def list_errors() -> None:
    """Print the catalogue of errors."""
    for code in errors.all_codes():
        print(f"{code.name:24} {code.status.name:20} {code.fault.value:12} {code.hint}")


def main() -> None:
    """Run the command; a user's mistake never ends in a traceback."""
    try:
        build()()
    except errors.ArchipelError as problem:
        show(problem)
        sys.exit(exit_code(problem))
    except ModuleNotFoundError as cause:
        if cause.name not in EXTRAS:
            raise
        print(f"error: this command needs {cause.name}, which is not installed.", file=sys.stderr)
        print(f"hint: pip install 'archipel[{EXTRAS[cause.name]}]'", file=sys.stderr)
        sys.exit(Exit.USAGE)
    except KeyboardInterrupt:
        sys.exit(Exit.INTERRUPTED)
    except BrokenPipeError:
        sys.exit(Exit.OK)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"archipel {__version__}")
        raise typer.Exit


if __name__ == "__main__":
    main()
