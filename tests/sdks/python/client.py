"""Runs the operation script of tests/sdks through the official Python SDK.

Reads `{"server": …, "steps": […]}` from standard input and prints `{"step": name, "outcome": …}`
for each step. What the fields of both mean stands in tests/sdks/README.md.
"""

import json
import logging
import sys

import tablestore as ots


class NoRetries(ots.RetryPolicy):
    """The first answer is the outcome."""

    def should_retry(self, retry_times, exception, api_name):
        return False


def main():
    # It logs every error that an outcome shows.
    logging.getLogger("tablestore-client").setLevel(logging.CRITICAL)
    script = json.load(sys.stdin)
    for step in script["steps"]:
        client = connect({**script["server"], **step.get("client", {})})
        try:
            outcome = OPERATIONS[step["op"]](client, step)
        except ots.OTSServiceError as error:
            outcome = {
                "error": {
                    "status": error.get_http_status(),
                    "code": error.get_error_code(),
                    "message": error.get_error_message(),
                }
            }
        except ots.OTSClientError as error:
            outcome = {"client_error": str(error)}
        print(json.dumps({"step": step["name"], "outcome": outcome}), flush=True)


def connect(server):
    native = server.get("native", True)
    return ots.OTSClient(
        server["end_point"],
        server["access_key_id"],
        server["access_key_secret"],
        server["instance"],
        region=server.get("region"),
        retry_policy=NoRetries(),
        enable_native=native,
        native_fallback=not native,
    )


def create_table(client, step):
    schema = [tuple(column[:2]) for column in step["schema"]]
    for i, column in enumerate(step["schema"]):
        if len(column) > 2:
            schema[i] += (ots.PK_AUTO_INCR,)
    throughput = ots.ReservedThroughput(ots.CapacityUnit(*step.get("throughput", (0, 0))))
    client.create_table(ots.TableMeta(step["table"], schema), table_options(step), throughput)
    return {}


def table_options(step):
    options = step["options"]
    return ots.TableOptions(
        options["ttl"], options["max_versions"], options["deviation"], options.get("allow_update")
    )


def update_table(client, step):
    updated = client.update_table(step["table"], table_options(step))
    options = shown_options(updated)
    del options["allow_update"]
    return options


def describe_table(client, step):
    described = client.describe_table(step["table"])
    meta = described.table_meta
    schema = [
        ["AUTO_INCREMENT" if part is ots.PK_AUTO_INCR else part for part in column]
        for column in meta.schema_of_primary_key
    ]
    return {"table": meta.table_name, "schema": schema, **shown_options(described)}


def shown_options(answer):
    options, reserved = answer.table_options, answer.reserved_throughput_details.capacity_unit
    return {
        "ttl": options.time_to_live,
        "max_versions": options.max_version,
        "deviation": options.max_time_deviation,
        "allow_update": options.allow_update,
        "throughput": [reserved.read, reserved.write],
    }


def list_table(client, step):
    return {"tables": sorted(client.list_table())}


def delete_table(client, step):
    client.delete_table(step["table"])
    return {}


def write_row(client, step):
    operation = {
        "PutRow": client.put_row,
        "UpdateRow": client.update_row,
        "DeleteRow": client.delete_row,
    }[step["op"]]
    used, row = operation(
        step["table"], row_of(step), condition_of(step), return_type=return_type(step)
    )
    return {"consumed": shown_consumed(used), "row": shown_row(row)}


def row_of(write):
    key = key_of(write["key"])
    if write["op"] == "PutRow":
        return ots.Row(key, [(name, value(v), *time) for name, v, *time in write["columns"]])
    if write["op"] == "DeleteRow":
        return ots.Row(key)
    changes = {}
    for what, name, *rest in write["changes"]:
        if what == "put":
            changes.setdefault("PUT", []).append((name, value(rest[0]), *rest[1:]))
        elif what == "increment":
            changes.setdefault("INCREMENT", []).append((name, value(rest[0])))
        elif rest:
            changes.setdefault("DELETE", []).append((name, None, rest[0]))
        else:
            changes.setdefault("DELETE_ALL", []).append(name)
    return ots.Row(key, changes)


def return_type(write):
    return {"key": ots.ReturnType.RT_PK, None: None}[write.get("return")]


def condition_of(write):
    condition = write.get("condition", {})
    return ots.Condition(condition.get("row", "IGNORE"), filter_of(condition.get("column")))


COMPARATORS = {
    "==": ots.ComparatorType.EQUAL,
    "!=": ots.ComparatorType.NOT_EQUAL,
    ">": ots.ComparatorType.GREATER_THAN,
    ">=": ots.ComparatorType.GREATER_EQUAL,
    "<": ots.ComparatorType.LESS_THAN,
    "<=": ots.ComparatorType.LESS_EQUAL,
}
OPERATORS = {
    "and": ots.LogicalOperator.AND,
    "or": ots.LogicalOperator.OR,
    "not": ots.LogicalOperator.NOT,
}


def filter_of(described):
    if described is None:
        return None
    for word, operator in OPERATORS.items():
        if word in described:
            condition = ots.CompositeColumnCondition(operator)
            parts = described[word]
            for part in [parts] if word == "not" else parts:
                condition.add_sub_condition(filter_of(part))
            return condition
    return ots.SingleColumnCondition(
        described["column"],
        value(described["value"]),
        COMPARATORS[described["is"]],
        described.get("pass_if_missing", True),
        described.get("latest_only", True),
    )


def read_of(described):
    """Give the parameters that all reads have."""
    times = described.get("times")
    return {
        "columns_to_get": described.get("columns", []),
        "column_filter": filter_of(described.get("filter")),
        "max_version": described["max_versions"],
        "time_range": tuple(times) if times else described.get("time"),
        "start_column": described.get("from"),
        "end_column": described.get("to"),
    }


def get_row(client, step):
    used, row, _ = client.get_row(step["table"], key_of(step["key"]), **read_of(step["read"]))
    return {"consumed": shown_consumed(used), "row": shown_row(row)}


def get_range(client, step):
    used, following, rows, _ = client.get_range(
        step["table"],
        step["direction"],
        key_of(step["from"]),
        key_of(step["to"]),
        limit=step.get("limit"),
        **read_of(step["read"]),
    )
    return {
        "consumed": shown_consumed(used),
        "rows": [shown_row(row) for row in rows],
        "next": shown_key(following) if following else None,
    }


def batch_get_row(client, step):
    request = ots.BatchGetRowRequest()
    for table in step["tables"]:
        keys = [key_of(key) for key in table["keys"]]
        request.add(ots.TableInBatchGetRowItem(table["table"], keys, **read_of(table["read"])))
    answer = client.batch_get_row(request)
    return shown_tables(step, answer.get_result_by_table)


ITEMS = {"PutRow": ots.PutRowItem, "UpdateRow": ots.UpdateRowItem, "DeleteRow": ots.DeleteRowItem}


def batch_write_row(client, step):
    request = ots.BatchWriteRowRequest()
    for table in step["tables"]:
        items = [
            ITEMS[row["op"]](row_of(row), condition_of(row), return_type(row))
            for row in table["rows"]
        ]
        request.add(ots.TableInBatchWriteRowItem(table["table"], items))
    answer = client.batch_write_row(request)

    def in_order(table):
        kinds = (answer.table_of_put, answer.table_of_update, answer.table_of_delete)
        rows = [row for kind in kinds for row in kind[table]]
        return sorted(rows, key=lambda row: row.index)

    return shown_tables(step, in_order)


def shown_tables(step, results_of):
    return {
        "tables": {
            table["table"]: [shown_result(result) for result in results_of(table["table"])]
            for table in step["tables"]
        }
    }


def shown_result(result):
    if not result.is_ok:
        return {"error": {"code": result.error_code, "message": result.error_message}}
    return {"consumed": shown_consumed(result.consumed), "row": shown_row(result.row)}


def shown_consumed(used):
    return [used.read, used.write]


def shown_row(row):
    if row is None or not row.primary_key:
        return None
    columns = [[name, shown(v), time] for name, v, time in row.attribute_columns or []]
    return {"key": shown_key(row.primary_key), "columns": columns}


def shown_key(key):
    return [[column[0], shown(column[1])] for column in key]


def key_of(described):
    return [(name, value(v)) for name, v in described]


INFINITIES = {"min": ots.INF_MIN, "max": ots.INF_MAX, "auto": ots.PK_AUTO_INCR}


def value(text):
    """Read a value of the script. To the SDK a bytearray is BINARY, and bytes are a STRING."""
    if text in INFINITIES:
        return INFINITIES[text]
    kind, colon, rest = text.partition(":")
    if not colon:
        kind, _, count = text.partition("*")
        return "a" * int(count) if kind == "s" else bytearray(b"a" * int(count))
    return {
        "s": str,
        "i": int,
        "d": float,
        "b": {"true": True, "false": False}.get,
        "x": bytearray.fromhex,
    }[kind](rest)


# How many bytes of a value an outcome shows if they are not all the same.
LONGEST = 100


def shown(v):
    """Give a value as the script writes it."""
    if isinstance(v, bool):
        return f"b:{v}".lower()
    if isinstance(v, int):
        return f"i:{v}"
    if isinstance(v, float):
        return f"d:{v!r}"
    if isinstance(v, str):
        return f"s*{len(v)}" if len(v) > LONGEST and not v.strip("a") else f"s:{v}"
    if isinstance(v, bytearray):
        return f"x*{len(v)}" if len(v) > LONGEST and not v.strip(b"a") else f"x:{v.hex()}"
    return f"a value of the type {type(v).__name__}"


def list_search_index(client, step):
    client.list_search_index(step["table"])
    return {}


OPERATIONS = {
    "CreateTable": create_table,
    "UpdateTable": update_table,
    "DescribeTable": describe_table,
    "ListTable": list_table,
    "DeleteTable": delete_table,
    "PutRow": write_row,
    "UpdateRow": write_row,
    "DeleteRow": write_row,
    "GetRow": get_row,
    "GetRange": get_range,
    "BatchGetRow": batch_get_row,
    "BatchWriteRow": batch_write_row,
    "ListSearchIndex": list_search_index,
}

main()
