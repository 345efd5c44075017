"""What the planner is told before the engine's own statements over thousands of rows."""

from django.db import connection


def rows_are_near() -> None:
    """
    To the end of this transaction: the next few thousand rows are found by their keys, whatever the size of the table.

    At the planner's usual price of a page it would rather read all rows of the case for every chunk, and a round of many
    chunks would take ever longer.
    """
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL random_page_cost = 1.1")
