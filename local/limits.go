package local

import "github.com/PMExtra/sentry-tablestore/v2/tablestore/errorcode"

// The limits of the service's wide column model.
const (
	maxRequestBody      = 5 << 20
	maxTables           = 64
	maxNameLength       = 255
	maxPrimaryKeys      = 4
	maxPrimaryKeyLength = 1024
	maxValueLength      = 2 << 20
	maxColumnsPerWrite  = 1024
	maxColumnsToGet     = 1024 // 128 in the documentation; tests of the Java SDK show that the service takes 1024
	maxRowWriteSize     = 4 << 20
	maxBatchWriteRows   = 200
	maxBatchWriteSize   = 4 << 20
	maxBatchGetRows     = 100
	maxRangeRows        = 5000
	maxRangeSize        = 4 << 20
	maxFilters          = 10
	maxDefinedColumns   = 32
	minTimeToLive       = 86400
	defaultDeviation    = 86400
	maxDeviation        = (1<<63 - 1) / 1000000
	maxTimestamp        = (1<<63 - 1) / 1000
	capacityUnit        = 4096
	// maxAnswer has room for the most rows of a BatchGetRow with a value of the largest size each. The service says nothing of a limit.
	maxAnswer   = 256 << 20
	maxCells    = 8 * maxColumnsPerWrite // a row with more is not decoded to the end, to say how many
	versionSize = 8                      // what a timestamp adds to the accounted size of a cell
)

// capacityUnits returns what size bytes of one row cost: one unit for each 4 KB begun, at least one.
func capacityUnits(size int) int32 {
	return int32(max(1, (size+capacityUnit-1)/capacityUnit))
}

// validName reports whether s can name a table or a column.
func validName(s string) bool {
	if len(s) == 0 || len(s) > maxNameLength {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return true
}

// errAnswerTooLarge has the code on which clients send batches in smaller pieces.
var errAnswerTooLarge = fail(errorcode.RequestBodyTooLarge, "The answer would be larger than %d bytes: ask for fewer rows or columns at once.", maxAnswer)
