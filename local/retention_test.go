package local

import (
	"fmt"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
)

// eventually polls until the condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("not reached: %s", what)
		}
		<-time.After(5 * time.Millisecond)
	}
}

func dayOfLife(versions int32) *otsprotocol.TableOptions {
	return &otsprotocol.TableOptions{TimeToLive: ptr(int32(86400)), MaxVersions: ptr(versions)}
}

func TestSweepRemovesWhatIsExpired(t *testing.T) {
	s := RunT(t, inFolder(t.TempDir()))
	s.create(t, "t", dayOfLife(2))
	const rows = 700 // more than two batches of the sweep
	large := incompressible(inlineLimit)
	for i := range rows {
		value := cell("x", i)
		if i%10 == 0 {
			value = cell("x", large)
		}
		s.write(t, batch(batchPut(fmt.Sprint("old", i), value)))
	}
	s.must(t, "PutRow", putRequest(idKey("empty"))) // a row without columns
	s.must(t, "PutRow", putRequest(idKey("both"), cell("old", large), cell("new", 1)))
	s.AdvanceClock(23 * time.Hour)
	s.must(t, "UpdateRow", updateRequest(idKey("both"), cell("new", 2)))
	s.must(t, "PutRow", putRequest(idKey("young"), cell("x", large)))
	if n := s.keys(t, prefixRow); n != rows+3 {
		t.Errorf("%d rows are stored before they expired, want %d", n, rows+3)
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	before := s.db.Metrics().Table.Local.LiveSize
	s.AdvanceClock(2 * time.Hour)
	eventually(t, "only two rows are stored, with one large value", func() bool {
		return s.keys(t, prefixRow) == 2 && s.keys(t, prefixBlob) == 1
	})
	if row, _ := s.get(t, getRequest(idKey("both"))); text(row, time.Time{}) != "new=2" {
		t.Errorf("the row that is half expired is %s", text(row, time.Time{}))
	}
	eventually(t, "the space came back", func() bool {
		live := s.db.Metrics().Table.Local
		return live.LiveSize+live.ZombieSize+live.ObsoleteSize < before/4
	})
}

func TestSweepRemovesSurplusVersions(t *testing.T) {
	s := RunT(t)
	s.create(t, "t", versionsOf(3))
	for i := range 3 {
		c := cell("x", make([]byte, inlineLimit)).At(s.now().UnixMilli() + int64(i))
		s.must(t, "UpdateRow", updateRequest(idKey("a"), c))
	}
	s.AdvanceClock(time.Hour)
	s.must(t, "UpdateTable", &otsprotocol.UpdateTableRequest{TableName: ptr("t"), TableOptions: &otsprotocol.TableOptions{MaxVersions: ptr(int32(1))}})
	if n := s.keys(t, prefixBlob); n != 3 {
		t.Errorf("%d versions are stored at first, want 3", n)
	}
	s.AdvanceClock(time.Hour)
	eventually(t, "one version is left", func() bool { return s.keys(t, prefixBlob) == 1 })
}

func TestDeletedTableGivesItsSpaceBack(t *testing.T) {
	s := RunT(t, inFolder(t.TempDir()))
	s.create(t, "t", nil)
	for i := range 40 {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint(i)), cell("x", incompressible(200000))))
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	if n := s.db.Metrics().Table.Local.LiveSize; n < 7_000_000 {
		t.Fatalf("the table takes only %d bytes", n)
	}
	s.must(t, "DeleteTable", &otsprotocol.DeleteTableRequest{TableName: ptr("t")})
	eventually(t, "the space came back", func() bool {
		m := s.db.Metrics().Table.Local
		return m.LiveSize+m.ZombieSize+m.ObsoleteSize < 100_000
	})
}

func TestDeletedRowsGiveTheirSpaceBack(t *testing.T) {
	s := RunT(t, inFolder(t.TempDir()), func(o *Options) { o.SweepInterval = -1 }) // it is not the sweep's work
	s.create(t, "t", nil)
	const rows = 160
	for i := range rows {
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint(i)), cell("x", incompressible(9000))))
		s.must(t, "PutRow", putRequest(idKey(fmt.Sprint("large", i)), cell("x", incompressible(inlineLimit))))
	}
	if err := s.db.Flush(); err != nil {
		t.Fatal(err)
	}
	before := s.db.Metrics().Table.Local.LiveSize
	if before < 6_000_000 {
		t.Fatalf("the table takes only %d bytes", before)
	}
	for half, from := 0.5, 0; half > 0.2; half /= 2 {
		to := from + int(rows*half)
		for i := from; i < to; i++ {
			s.must(t, "DeleteRow", deleteRequest(idKey(fmt.Sprint(i))))
			s.must(t, "DeleteRow", deleteRequest(idKey(fmt.Sprint("large", i))))
		}
		from = to
		eventually(t, fmt.Sprintf("the space of %d rows came back", to), func() bool {
			m := s.db.Metrics().Table.Local
			return float64(m.LiveSize+m.ZombieSize+m.ObsoleteSize) < float64(before)*half*1.1
		})
	}
	if row, _ := s.get(t, getRequest(idKey(fmt.Sprint(rows-1)))); len(row.Attributes) != 1 {
		t.Error("a row that was not deleted is gone")
	}
}
