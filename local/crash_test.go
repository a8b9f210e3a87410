package local

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aliyun/aliyun-tablestore-go-sdk/tablestore/otsprotocol"
	"google.golang.org/protobuf/protoadapt"

	"github.com/PMExtra/sentry-tablestore/v2/tablestore/plainbuffer"
)

// crashKills is the environment variable with the number of kills of TestKill.
const crashKills = "TABLESTORE_CRASH_KILLS"

const (
	crashClients = 8
	crashRows    = 12 // of each client
)

// askedFor is the number that a variable of the environment gives, or the usual one.
func askedFor(t *testing.T, variable string, usual int) int {
	t.Helper()
	v := os.Getenv(variable)
	if v == "" {
		return usual
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		t.Fatalf("%s: %v", variable, err)
	}
	return n
}

// TestKill kills the program, not the machine, at random points under load, hundreds of times if asked to: every acknowledged write
// must be there afterwards, and of a write that was not, all or nothing.
func TestKill(t *testing.T) {
	kills := askedFor(t, crashKills, 10)
	save := crashPage(t, "make crash")
	program := filepath.Join(t.TempDir(), "tablestore-local")
	if out, err := exec.Command("go", "build", "-o", program, "../cmd/tablestore-local").CombinedOutput(); err != nil {
		t.Fatalf("build the program: %v\n%s", err, out)
	}
	k := newKilled()
	k.program, k.dir = program, filepath.Join(t.TempDir(), "data")
	early := 0
	for i := range kills {
		p := k.start(t)
		if i > 0 && rand.IntN(5) == 0 {
			// In the middle of the recovery, or shortly after it.
			<-time.After(rand.N(40 * time.Millisecond))
			p.kill(t)
			early++
			continue
		}
		s := p.ready(t)
		if i == 0 {
			s.create(t, "t", nil)
		}
		k.check(t, s)
		k.load(t, s, 1+rand.Int64N(150), func() { p.kill(t) })
	}
	p := k.start(t)
	k.check(t, p.ready(t))
	p.kill(t)
	t.Logf("%d kills, %d of them while starting; %s", kills, early, k)
	if n := k.acknowledged(); n < kills-early {
		t.Errorf("only %d requests were acknowledged: the test tests nothing", n)
	}
	save("the program is killed (SIGKILL)", kills, early, k)
}

// killed is what is known about a folder over all the kills.
type killed struct {
	program, dir           string
	arguments              []string // more of the program's
	clients                []*crashClient
	shared                 *sharedRows
	checked, open, applied int

	ending sync.Mutex
	over   bool // the end came
}

func newKilled() *killed {
	k := &killed{shared: newSharedRows()}
	for i := range crashClients {
		k.clients = append(k.clients, &crashClient{name: string(rune('a' + i)), rows: map[string]crashRow{}})
	}
	return k
}

func (k *killed) acknowledged() (n int) {
	for _, c := range k.clients {
		n += c.acknowledged
	}
	return n
}

func (k *killed) String() string {
	return fmt.Sprintf("%d acknowledged requests; %d rows checked; of %d requests under way at the end, %d had been applied",
		k.acknowledged(), k.checked, k.open, k.applied)
}

type crashProcess struct {
	cmd *exec.Cmd
	out io.Reader
	err bytes.Buffer
}

func (k *killed) start(t *testing.T) *crashProcess {
	t.Helper()
	p := &crashProcess{}
	p.cmd = exec.Command(k.program, "--data", k.dir, "--listen", "127.0.0.1:0", "--access-key-id", "id", "--access-key-secret", "secret", "--log-level", "warn")
	p.cmd.Args = append(p.cmd.Args, k.arguments...)
	p.cmd.Stderr = &p.err
	var err error
	if p.out, err = p.cmd.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() }) // when the test fails; otherwise it is long gone
	return p
}

// ready waits for the program and returns a client of it.
func (p *crashProcess) ready(t *testing.T) *TestServer {
	t.Helper()
	line := p.line()
	if line == "" {
		_ = p.cmd.Wait()
		t.Fatalf("the program did not start again: %s", p.err.String())
	}
	return p.serverAt(line)
}

// line waits for the line with which the program says that it is ready; "" means that it ended instead.
func (p *crashProcess) line() string {
	line, _ := bufio.NewReader(p.out).ReadString('\n')
	return line
}

// serverAt returns a client of the program.
func (p *crashProcess) serverAt(line string) *TestServer {
	url := strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:])
	return &TestServer{Server: &Server{options: Options{Clock: time.Now}}, URL: url, Instance: "sentry", AccessKeyID: "id", AccessKeySecret: "secret"}
}

func (p *crashProcess) kill(t *testing.T) {
	t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		t.Error(err)
	}
	_ = p.cmd.Wait() // says that it was killed
	if p.err.Len() > 0 {
		t.Errorf("the program wrote %s", p.err.String())
	}
}

// crashRow is the state of a row: for each column the number of the write that set it. nil is a row that does not exist.
type crashRow map[string]int

// crashClient writes one request at a time, most often to rows of its own.
type crashClient struct {
	name         string
	writes       int                 // numbers the writes
	rows         map[string]crashRow // as acknowledged
	pending      map[string]crashRow // what the request under way makes of some of them
	shared       *sharedWrite        // the request under way, if it is to a row that all clients write
	acknowledged int
}

// load lets the clients write until so many of their requests were acknowledged, and ends the server then. Most clients have a
// request under way at that moment.
func (k *killed) load(t *testing.T, s *TestServer, count int64, end func()) {
	t.Helper()
	k.over = false
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: crashClients}}
	defer client.CloseIdleConnections()
	var left atomic.Int64
	left.Store(count)
	var wg sync.WaitGroup
	for _, c := range k.clients {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				operation, m := c.next(k.shared)
				answer, err := client.Do(s.request(t, operation, mustMarshal(m)))
				if err != nil {
					return
				}
				body, err := io.ReadAll(answer.Body)
				_ = answer.Body.Close()
				if err != nil {
					return
				}
				if err := refusal(operation, answer.StatusCode, body); err != nil {
					t.Errorf("%s: %v", operation, err)
					return
				}
				if !k.acknowledge(c) {
					return
				}
				if left.Add(-1) == 0 {
					end() // at once: what this answer says may hang on what another client waits for
				}
			}
		}()
	}
	wg.Wait()
	if left.Load() > 0 { // every client met an error
		end()
	}
}

// acknowledge notes that the client's request was acknowledged. false means that the end came first, after which an answer says
// nothing about what is on disk.
func (k *killed) acknowledge(c *crashClient) bool {
	k.ending.Lock()
	defer k.ending.Unlock()
	if k.over {
		return false
	}
	maps.Copy(c.rows, c.pending)
	c.pending = nil
	if c.shared != nil {
		k.shared.acknowledge(c.shared)
		c.shared = nil
	}
	c.acknowledged++
	return true
}

// refusal returns an error unless the whole request succeeded.
func refusal(operation string, status int, body []byte) error {
	if status != http.StatusOK {
		return fmt.Errorf("%d: %q", status, body)
	}
	if operation != "BatchWriteRow" {
		return nil
	}
	var response otsprotocol.BatchWriteRowResponse
	if err := unmarshal(body, &response); err != nil {
		return err
	}
	for _, row := range response.Tables[0].Rows {
		if !row.GetIsOk() {
			return fmt.Errorf("row failed: %v", row.Error)
		}
	}
	return nil
}

// next makes the next request and notes what it does.
func (c *crashClient) next(shared *sharedRows) (string, protoadapt.MessageV1) {
	c.pending = map[string]crashRow{}
	if rand.IntN(2) == 0 {
		c.shared = shared.begin()
		return c.shared.request()
	}
	if rand.IntN(3) == 0 {
		var rows []*otsprotocol.RowInBatchWriteRowRequest
		for _, i := range rand.Perm(crashRows)[:2+rand.IntN(crashRows-2)] {
			rows = append(rows, c.change(i))
		}
		return "BatchWriteRow", batch(rows...)
	}
	r := c.change(rand.IntN(crashRows))
	switch r.GetType() {
	case otsprotocol.OperationType_PUT:
		return "PutRow", &otsprotocol.PutRowRequest{TableName: ptr("t"), Condition: r.Condition, Row: r.RowChange}
	case otsprotocol.OperationType_UPDATE:
		return "UpdateRow", &otsprotocol.UpdateRowRequest{TableName: ptr("t"), Condition: r.Condition, RowChange: r.RowChange}
	}
	return "DeleteRow", &otsprotocol.DeleteRowRequest{TableName: ptr("t"), Condition: r.Condition, PrimaryKey: r.RowChange}
}

// change makes a random write of row i.
func (c *crashClient) change(i int) *otsprotocol.RowInBatchWriteRowRequest {
	c.writes++
	id := fmt.Sprint(c.name, i)
	columns := []string{"small", "middle", "large"}
	rand.Shuffle(len(columns), func(i, j int) { columns[i], columns[j] = columns[j], columns[i] })
	columns = columns[:1+rand.IntN(len(columns))]
	var cells []plainbuffer.Cell
	row := crashRow{}
	for _, name := range columns {
		row[name] = c.writes
		cells = append(cells, cell(name, crashValue(id, name, c.writes)))
	}
	switch n := rand.IntN(10); {
	case n < 2:
		c.pending[id] = nil
		return batchDelete(id)
	case n < 6:
		c.pending[id] = row
		return batchPut(id, cells...)
	}
	whole := crashRow{}
	maps.Copy(whole, c.rows[id])
	maps.Copy(whole, row)
	c.pending[id] = whole
	return batchUpdate(id, cells...)
}

// crashValue is the value that a write with this number gives a column; no two are equal.
func crashValue(id, column string, number int) []byte {
	size := map[string]int{"small": 20, "middle": 5000, "large": inlineLimit + 1000*(number%50)}[column]
	mark := fmt.Sprintf("%s.%s.%d|", id, column, number)
	return bytes.Repeat([]byte(mark), size/len(mark)+1)
}

// check compares all rows with what the clients know, who then know how their last request ended.
func (k *killed) check(t *testing.T, s *TestServer) {
	t.Helper()
	stored := map[string]plainbuffer.Row{}
	next := allRange()
	for {
		rows, key := s.scan(t, next)
		for _, row := range rows {
			stored[string(row.PrimaryKey[0].Value.Bytes)] = row
		}
		if key == nil {
			break
		}
		next.InclusiveStartPrimaryKey = plainbuffer.Encode(plainbuffer.Row{PrimaryKey: key})
	}
	if err := k.shared.check(stored); err != nil {
		t.Fatal(err)
	}
	k.checked += crashShared
	for _, c := range k.clients {
		before, after := maps.Clone(c.rows), maps.Clone(c.rows)
		maps.Copy(after, c.pending)
		beforeError, afterError := c.compare(before, stored), c.compare(after, stored)
		switch {
		case beforeError != nil && afterError != nil:
			t.Fatalf("client %s, which was changing %v: the rows are neither as before: %v; nor as afterwards: %v", c.name, c.pending, beforeError, afterError)
		case beforeError != nil:
			c.rows = after
			k.applied++
		}
		if c.pending != nil && c.shared == nil {
			k.open++
		}
		c.pending, c.shared = nil, nil
		k.checked += crashRows
		for i := range crashRows {
			delete(stored, fmt.Sprint(c.name, i))
		}
	}
	if len(stored) > 0 {
		t.Fatalf("%d rows that nobody wrote", len(stored))
	}
}

// compare says how the client's rows in the store differ from the wanted ones.
func (c *crashClient) compare(want map[string]crashRow, stored map[string]plainbuffer.Row) error {
	for i := range crashRows {
		id := fmt.Sprint(c.name, i)
		row, found := stored[id]
		if found != (want[id] != nil) {
			return fmt.Errorf("row %s is there: %t", id, found)
		}
		if len(row.Attributes) != len(want[id]) {
			return fmt.Errorf("row %s has %d columns, want %v", id, len(row.Attributes), want[id])
		}
		for _, cell := range row.Attributes {
			number := want[id][string(cell.Name)]
			if !bytes.Equal(cell.Value.Bytes, crashValue(id, string(cell.Name), number)) {
				return fmt.Errorf("column %s of row %s is %.40q, want that of write %d", cell.Name, id, cell.Value.Bytes, number)
			}
		}
	}
	return nil
}
