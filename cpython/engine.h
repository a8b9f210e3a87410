/*
 * The Go engine's C functions: nodes in a Tablestore table.
 *
 * Calls. A function that talks to the service starts its work and waits for at most slice_ms
 * milliseconds. It then fills *result and returns nothing else. result->status is
 *
 *   OTS_OK       done: data, length and count are the answer, see each function.
 *   OTS_ERROR    failed: data is a JSON object in UTF-8 with kind, operation, table, code, message,
 *                request_id, http_status, ids and failures (store/error.go).
 *   OTS_PENDING  not yet done: call ots_wait() until it is, or ots_abandon(). If poll_events is not 0, ots_wait() does not wait:
 *                poll(2) poll_fd for these events first, for at most poll_ms milliseconds. So the thread waits outside of
 *                the engine, where it costs least.
 *
 * Memory. Arguments are lent until the function returns: the engine copies what it needs for longer. data and
 * logs belong to the engine and stay valid until ots_release(result->call), to be called exactly once for each
 * result whose call is not 0, pending ones excepted (waiting or abandoning ends those). A stale number is ignored.
 *
 * Logs. logs is a JSON array of {"logger": "project"|"client", "level": 10, "message": "..."} or NULL. Only
 * records of at least the levels given are made; levels are those of Python's logging.
 *
 * Processes. A copy of the engine works only in the process that loaded it. After a fork the child must not call
 * any function here: it would wait for ever.
 *
 * Every function may be called from any thread at any time. None raises a signal, exits or unwinds: a
 * panic in the engine is an OTS_ERROR of the kind "internal".
 */
#ifndef SENTRY_TABLESTORE_ENGINE_H
#define SENTRY_TABLESTORE_ENGINE_H

#include <stddef.h>
#include <stdint.h>

enum { OTS_OK = 0, OTS_ERROR = 1, OTS_PENDING = 2 };

/* Bytes that the caller lends. data may be NULL if length is 0. */
typedef struct {
    const char *data;
    size_t length;
} ots_bytes;

/* The length of a value that is not there. */
#define OTS_ABSENT ((size_t)-1)

/* What a call is counted by, in this order (store/counts.go): requests sent, attempts after the first, requests
 * refused by throttling; bytes of request bodies and answer bodies; bytes of values before compression and as stored;
 * nodes asked for that are not there; values too large for one column. */
enum { OTS_COUNTS = 9 };

typedef struct {
    int64_t counts[OTS_COUNTS];
    int64_t count;
    const char *data;
    size_t length;
    const char *logs;
    size_t logs_length;
    uint64_t call;
    int32_t status;
    int32_t poll_fd;
    int32_t poll_events;
    int32_t poll_ms;
} ots_result;

/* What every call takes besides its arguments. */
typedef struct {
    uint64_t store;        /* from ots_open */
    int32_t project_level; /* of the logger sentry_tablestore.kvstore.tablestore */
    int32_t client_level;  /* of the logger tablestore-client */
    int32_t slice_ms;
} ots_context;

/* Opens the store with the options (a JSON object, store/options.go) or finds the one that is open with the
 * same text. Sends nothing. OTS_OK: count is its number, for ots_context.store. */
extern void ots_open(ots_bytes options, ots_result *result);

/* Gives back what ots_open gave; the last one drops the connections. A stale number is ignored. */
extern void ots_close(uint64_t store);

/* Reads a node. OTS_OK: count is 1 and data its bytes, or count is 0: there is no such node. */
extern void ots_get(ots_context *context, ots_bytes id, ots_result *result);

/* Reads n nodes. OTS_OK: count is n; data holds n ots_bytes in the order of ids, with the length OTS_ABSENT for a
 * missing node. What they point to lives as long as data. */
extern void ots_get_many(ots_context *context, ots_bytes *ids, size_t n, ots_result *result);

/* Writes a node. ttl_ms is how long it shall live, or -1: as long as the table keeps it. */
extern void ots_set(ots_context *context, ots_bytes id, ots_bytes value, int64_t ttl_ms, ots_result *result);

/* Writes n nodes, values[i] under ids[i]. On OTS_ERROR, failures tells which were not written. */
extern void ots_set_many(ots_context *context, ots_bytes *ids, ots_bytes *values, size_t n, int64_t ttl_ms, ots_result *result);

/* Removes nodes; missing ones are fine. */
extern void ots_delete(ots_context *context, ots_bytes id, ots_result *result);
extern void ots_delete_many(ots_context *context, ots_bytes *ids, size_t n, ots_result *result);

/* Writes n nodes of another store that were written there at written[i] and expire at expires[i] (milliseconds since
 * 1970; 0: now, and when the table says so). encoding tells the form of the values: 0 as they are, 1 zlib, 2 base64 of
 * zlib. Nothing newer is overwritten; with only_missing, nothing at all is. OTS_OK: data is n letters that tell what became of each
 * (store/import.go). */
extern void ots_import_many(ots_context *context, ots_bytes *ids, ots_bytes *values, int64_t *written, int64_t *expires, size_t n,
                            int32_t encoding, int32_t only_missing, ots_result *result);

/* Deletes those of n nodes that were written exactly at written[i]. OTS_OK: count is how many. */
extern void ots_discard_many(ots_context *context, ots_bytes *ids, int64_t *written, size_t n, ots_result *result);

/* Reads up to limit nodes in the order of ids, from start to end (exclusive; empty: the table's end). OTS_OK: values as of ots_get_many, whose first value is a JSON
 * object: nodes (store/scan.go) and next, the id to go on from or "". The others are the values of the nodes,
 * all missing unless asked for. */
extern void ots_scan(ots_context *context, ots_bytes start, ots_bytes end, int32_t limit, int32_t values, ots_result *result);

/* The same for those of n nodes that are there, in the order of their ids here; next is "". */
extern void ots_scan_many(ots_context *context, ots_bytes *ids, size_t n, int32_t values, ots_result *result);

/* Describes the table. OTS_OK: count is 1 and data a JSON object, the TableDescription of tablestore/tablestore.go. */
extern void ots_describe(ots_context *context, ots_result *result);

/* Replaces what later requests of the store are signed with; token may be empty. */
extern void ots_set_credentials(uint64_t store, ots_bytes id, ots_bytes secret, ots_bytes token, ots_result *result);

/* Creates the table or brings its options up to date, and waits until it can be used: up to 3 minutes. */
extern void ots_bootstrap(ots_context *context, ots_result *result);

/* Deletes nodes last written before cutoff_ms (milliseconds since 1970). OTS_OK: count is how many. Takes as long as it takes. */
extern void ots_cleanup(ots_context *context, int64_t cutoff_ms, ots_result *result);

/* Deletes the table. */
extern void ots_destroy(ots_context *context, ots_result *result);

/* Goes on with a pending call, and waits for at most slice_ms unless there is something to poll. */
extern void ots_wait(uint64_t call, int32_t slice_ms, ots_result *result);

/* Gives a pending call up. What it has sent may still be applied; the rest ends by itself at its deadline. */
extern void ots_abandon(uint64_t call);

/* Ends the life of a result's data and logs. */
extern void ots_release(uint64_t call);

/* Has the collector keep all that the engine's runtime has at about so many bytes, whatever that costs in processor time up to half of it. */
extern void ots_limit_heap(int64_t bytes);

/* How many calls are pending or unreleased: 0 when nobody is in a call. */
extern int64_t ots_outstanding(void);

/* What was built: version, commit, Go, platform. Lives as long as the engine; nobody frees it. */
extern char *ots_version(void);

#endif
