"""docs/reference/policy.md is written from the tables that the parser reads by."""

from pathlib import Path

from gateway.backends.entities import SELECTABLE
from gateway.policy.reference import policy_page

PAGE = Path(__file__).parent.parent.parent / "docs" / "reference" / "policy.md"


def test_the_page_is_what_the_tables_say() -> None:
    assert PAGE.read_text("utf-8") == policy_page(SELECTABLE)


def test_every_table_has_its_heading_and_every_link_leads_to_one() -> None:
    page = policy_page(SELECTABLE)
    headings = {
        line[3:].lower().replace(" ", "-") for line in page.splitlines() if line[:3] == "## "
    }
    links = {part.split(")")[0] for part in page.split("](#")[1:]}
    assert links <= headings
    assert {"policy", "upstream", "model", "price", "limit", "plan", "project"} <= headings
