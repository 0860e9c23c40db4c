"""A provider's export of costs, read."""

import json
from decimal import Decimal

import pytest

from gateway.usage.costs import Cost, CostsError, model_and_kind, read_costs

DAY = 1_730_419_200.0  # 2024-11-01


def page(*results, start=DAY, **more):
    bucket = {"object": "bucket", "start_time": int(start), "end_time": int(start) + 86_400}
    return {"object": "page", "data": [{**bucket, "results": list(results)}], **more}


def result(value=0.06, line_item="gpt-4o, input", **more):
    amount = {"value": value, "currency": "usd"}
    return {"object": "organization.costs.result", "amount": amount, "line_item": line_item, **more}


LINE = Cost(DAY, DAY + 86_400, "gpt-4o", "input", "", Decimal("0.06"), "USD")


def test_a_page_of_json_is_read_with_exact_amounts():
    exact = '{"data": [{"start_time": 1730419200, "end_time": 1730505600, "results": [{"amount": '
    exact += '{"value": 0.1234567890123456789, "currency": "usd"}, "line_item": null}]}]}'
    (cost,) = read_costs(exact)
    assert cost.amount == Decimal("0.1234567890123456789")
    assert (cost.model, cost.kind, cost.project) == ("", "", "")


def test_pages_can_be_one_a_list_or_one_after_another():
    one, two = page(result(), project_id=None), page(result(), start=DAY + 86_400)
    texts = [json.dumps([one, two]), f"{json.dumps(one)}\n{json.dumps(two)}\n"]
    for text in texts:
        assert [cost.start for cost in read_costs(text)] == [DAY, DAY + 86_400]
    assert read_costs(json.dumps(one)) == [LINE]


@pytest.mark.parametrize("text", [
    "start_time,end_time,amount_value,amount_currency,line_item,project_id\r\n"
    '1730419200,1730505600,0.06,usd,"gpt-4o, input",\r\n',
    '\ufeffdate,amount,currency,line_item\n2024-11-01,0.06,USD,"gpt-4o, input"\n\n',
])  # fmt: skip
def test_csv_is_read_by_its_header(text):
    assert read_costs(text) == [LINE]


@pytest.mark.parametrize(("line_item", "found"), [
    ("gpt-4o-2024-08-06, cached input", ("gpt-4o-2024-08-06", "cached input")),
    ("Web search tool calls", ("Web search tool calls", "")),
    ("Images, 1024x1024", ("Images, 1024x1024", "")),
])  # fmt: skip
def test_a_line_item_is_a_model_and_a_kind_or_all_model(line_item, found):
    assert model_and_kind(line_item) == found


@pytest.mark.parametrize(("text", "told"), [
    ("{", "no JSON"),
    ("[1]", "page 1 has no list `data`"),
    ('{"data": [3]}', "data[0] has no list `results`"),
    (json.dumps(page({"amount": 3})), "without an object `amount`"),
    (json.dumps(page(result(value="much"))), "amount is 'much'"),
    (json.dumps(page(result(value="NaN"))), "amount is 'NaN'"),
    (json.dumps(page(result())).replace("1730419200", '"soon"'), "start_time is 'soon'"),
    (json.dumps(page(result())).replace("1730419200", "9" * 30), "start_time is"),
    ("[" * 100_000, "no JSON"),
    ("", "no column start_time, amount_value, amount_currency"),
    ("what,ever\n1,2\n", "no column start_time"),
    ("date,amount,currency\n2024-11-01,x,usd\n", "line 2: amount is 'x'"),
    ("date,amount,currency\n2024-11-01,1,\n", "line 2: there is no currency"),
    ('date,amount,currency\n"2024', "no CSV"),
])  # fmt: skip
def test_a_file_that_cannot_be_read_is_told_where(text, told):
    with pytest.raises(CostsError) as error:
        read_costs(text)
    assert told in str(error.value)
