"""Runs inside the SDK's environment: one JSON request a line in, one JSON answer a line out.

Values of columns and keys are JSON as they are, but bytes: {"blob": base64}. In the SDK's eyes
`bytes` are a STRING and a `bytearray` is BINARY, and so it is for the predecessor, which passes its
uncompressed values as bytes.
"""

import base64
import json
import logging
import sys

import zstandard

import tablestore

logging.getLogger("tablestore-client").setLevel(logging.WARNING)


def decoded(value):
    if isinstance(value, dict):
        raw = base64.b64decode(value["base64"])
        return bytearray(raw) if value["type"] == "BINARY" else raw
    return value


def encoded(value):
    if isinstance(value, (bytes, bytearray)):
        return {"type": "BINARY", "base64": base64.b64encode(bytes(value)).decode()}
    return value


def put(client, table, id, columns):
    row = tablestore.Row([("id", id)], [(name, decoded(value)) for name, value in columns.items()])
    client.put_row(table, row)


def get(client, table, id):
    _, row, _ = client.get_row(table, [("id", id)], max_version=1)
    return row and {name: encoded(value) for name, value, _ in row.attribute_columns}


def describe(client, table):
    described = client.describe_table(table)
    return {
        "primary_key": [list(column) for column in described.table_meta.schema_of_primary_key],
        "time_to_live": described.table_options.time_to_live,
        "max_version": described.table_options.max_version,
        "max_time_deviation": described.table_options.max_time_deviation,
    }


def create(client, table, primary_key, max_version=1):
    client.create_table(
        tablestore.TableMeta(table, [tuple(column) for column in primary_key]),
        tablestore.TableOptions(-1, max_version),
        tablestore.ReservedThroughput(tablestore.CapacityUnit(0, 0)),
    )


def compress_zstd(client, data):
    return encoded(zstandard.ZstdCompressor().compress(decoded(data)))


def decompress_zstd(client, data):
    frame = bytes(decoded(data))
    parameters = zstandard.get_frame_parameters(frame)
    return {
        "data": encoded(zstandard.ZstdDecompressor().decompress(frame)),
        "content_size": parameters.content_size,
        "has_checksum": parameters.has_checksum,
    }


def main():
    client = tablestore.OTSClient(*sys.argv[1:5])
    for line in sys.stdin:
        function, arguments = json.loads(line)
        print(json.dumps(globals()[function](client, *arguments)), flush=True)


main()
