// Package local is a Tablestore server for one machine: the wire protocol of the service, API version 2015-12-31, over rows in Pebble.
//
// [Open] gives a [Server], which is an [net/http.Handler]; cmd/tablestore-local is a program around it, and [RunT] starts one in
// memory for a Go test. Every operation has a file of its own that opens with what it does and what it leaves out.
//
// What an acknowledged write means: its Pebble batch, one for each request, was synced to disk. A batch of rows is applied as a
// whole or, after a crash before the acknowledgement, not at all. A plain read may show a write that is still on its way to the disk,
// and that a crash undoes; an answer to a write never builds on one: a delete that finds its row gone, or a condition that fails
// because of it, is answered when it is on disk.
//
// What a table's options make invisible is removed from the disk by a sweep in the background, and when [Options.MaxBytes] are in use
// or the disk is nearly full, puts are refused while reads and deletes go on. A folder of which files are damaged or missing
// is refused when it is opened ([ErrDamaged]), or the requests that meet the damage fail; see checkfiles.go for what cannot be told
// from a crash.
//
// # Caveats
//
// One process serves a folder; a second one is refused ([ErrLocked]).
//
// Table operations are not limited in number per second, and a table is ready as soon as it is created: tests would only be slower.
// The service's limits on the data itself are kept, with its own texts.
//
// Search and secondary indexes, transactions, atomic batches, streams, tunnels, SQL, time series, bulk import and export are not
// implemented and answer the service's error for an unsupported operation or parameter.
package local
