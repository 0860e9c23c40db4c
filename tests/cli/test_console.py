"""How commands show what callers and administrators wrote."""

import pytest

from gateway.cli.console import counted, plain, print_table


def test_one_of_a_thing_is_not_many():
    assert [counted(n, "row") for n in range(3)] == ["0 rows", "1 row", "2 rows"]
    assert [counted(n, "entry", "entries") for n in (1, 2)] == ["1 entry", "2 entries"]


@pytest.mark.parametrize(("value", "shown"), [
    (None, ""), (0, "0"), ("Zoë 电话", "Zoë 电话"), ("[bold]x[/]", "[bold]x[/]"),
    ("\x1b]0;title\x07", "\ufffd]0;title\ufffd"), ("a\nb\tc", "a\ufffdb\ufffdc"),
    ("\x9b31m", "\ufffd31m"), ("\u202eabc", "\ufffdabc"), ("\udc80", "\ufffd"),
])  # fmt: skip
def test_a_value_is_shown_without_control_codes(value, shown):
    assert plain(value) == shown


def test_a_table_takes_neither_cells_nor_headers_for_markup_or_codes(capsys):
    print_table(["[red]n[/red]\x1b[2J", "b"], [{"[red]n[/red]\x1b[2J": "[/bold] :smile:\x1b[31m"}])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split() == ["[red]n[/red]\ufffd[2J", "b"]
    assert row.strip() == "[/bold] :smile:\ufffd[31m"


def test_a_pipe_gets_even_the_widest_values_whole(capsys):
    names = [f"column{n}" for n in range(8)]
    print_table(names, [{name: name[-1] * 500 for name in names}])
    _, row = capsys.readouterr().out.splitlines()
    assert row.split() == [name[-1] * 500 for name in names]
