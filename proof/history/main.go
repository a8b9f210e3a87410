// Command history reads recorded calls and says whether they can be explained: see README.md.
//
//	go run ./proof/history FILE...
//
// A line is "i CALL KEY set VALUE TIME", "i CALL KEY delete - TIME" or "i CALL KEY get - TIME" for the beginning of a call, and
// "r CALL OUTCOME REQUESTS TIME" for its end: OUTCOME is ok for a write, the value or none for a get, error, or torn for a
// value that nobody wrote. TIME is in nanoseconds by a clock that all processes share. CALL is unique within its file.
package main

import (
	"bufio"
	"fmt"
	"math"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

const none = "none"

// input is what a call asks for. again marks the later requests of a write, which may or may not take effect.
type input struct {
	kind  string // set, get, delete
	value string
	again bool
}

// model is one node: its state is its value.
var model = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{none} },
	Step: func(state, in, out any) []any {
		call := in.(input)
		next := none
		switch call.kind {
		case "get":
			if out.(string) != state.(string) {
				return nil
			}
			return []any{state}
		case "set":
			next = call.value
		}
		if call.again {
			return []any{state, next}
		}
		return []any{next}
	},
	Equal: func(a, b any) bool { return a.(string) == b.(string) },
	DescribeOperation: func(in, out any) string {
		call := in.(input)
		return fmt.Sprintf("%s %s -> %v", call.kind, call.value, out)
	},
}).ToModel()

// recorded is one call of a file.
type recorded struct {
	key      string
	in       input
	began    int64
	ended    int64
	outcome  string // "" while it has not ended
	requests int
}

// attemptLimit is how long the client waits for the answer to a request, with the timeout of the workers (3 s), until it gives the
// request up and sends another, in nanoseconds.
const attemptLimit = 2_000_000_000

// gaveUp says whether the call returned after a request of its own had been given up, which may arrive later still.
func (c *recorded) gaveUp() bool { return c.requests > 1 && c.ended-c.began >= attemptLimit }

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: history FILE...")
		os.Exit(2)
	}
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "history:", err)
		os.Exit(1)
	}
}

func run(paths []string) error {
	var calls []recorded
	for _, path := range paths {
		some, err := read(path)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		calls = append(calls, some...)
	}
	histories, counts := sorted(calls, false)
	fmt.Printf("%d calls on %d nodes: %d writes acknowledged, %d reads answered, %d raised, %d killed, %d sent more than once, %d after a request was given up\n",
		len(calls), len(histories), counts.acknowledged, counts.read, counts.raised, counts.killed, counts.repeated, counts.gaveUp)
	if counts.torn > 0 {
		return fmt.Errorf("%d reads gave a value that nobody wrote", counts.torn)
	}
	if counts.acknowledged == 0 || counts.read == 0 {
		return fmt.Errorf("there is nothing to check")
	}
	wrong, unknown := check(histories)
	wrong, late := lateOnes(calls, wrong)
	if len(late) > 0 {
		fmt.Printf("%d nodes are explained only by a request that was given up and took effect after its call had returned: %s\n", len(late), strings.Join(late, " "))
	}
	if len(wrong) > 0 {
		for _, key := range wrong[:min(3, len(wrong))] {
			fmt.Printf("%s:\n", key)
			for _, operation := range histories[key] {
				fmt.Printf("  %d … %d  %s\n", operation.Call, operation.Return, model.DescribeOperation(operation.Input, operation.Output))
			}
		}
		return fmt.Errorf("no order of the calls explains what %d of %d nodes answered: %s", len(wrong), len(histories), strings.Join(wrong, " "))
	}
	if len(unknown) > 0 {
		return fmt.Errorf("%d of %d nodes took too long to check: %s", len(unknown), len(histories), strings.Join(unknown, " "))
	}
	fmt.Println("every answer is explained")
	return nil
}

func read(path string) ([]recorded, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var order []string
	calls := map[string]*recorded{}
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		f := strings.Fields(lines.Text())
		switch {
		case len(f) == 6 && f[0] == "i":
			began, err := strconv.ParseInt(f[5], 10, 64)
			if err != nil || calls[f[1]] != nil {
				return nil, fmt.Errorf("line %d: %q", number, lines.Text())
			}
			calls[f[1]] = &recorded{key: f[2], in: input{kind: f[3], value: f[4]}, began: began}
			order = append(order, f[1])
		case len(f) == 5 && f[0] == "r" && calls[f[1]] != nil:
			c := calls[f[1]]
			c.outcome = f[2]
			if c.requests, err = strconv.Atoi(f[3]); err == nil {
				c.ended, err = strconv.ParseInt(f[4], 10, 64)
			}
			if err != nil {
				return nil, fmt.Errorf("line %d: %w", number, err)
			}
		default:
			return nil, fmt.Errorf("line %d: %q", number, lines.Text())
		}
	}
	all := make([]recorded, len(order))
	for i, call := range order {
		all[i] = *calls[call]
	}
	return all, lines.Err()
}

// lateOnes tells apart the nodes that are wrong for certain, and those that a late request explains.
func lateOnes(calls []recorded, suspects []string) (wrong, late []string) {
	if len(suspects) == 0 {
		return nil, nil
	}
	histories, _ := sorted(calls, true)
	suspected := map[string][]porcupine.Operation{}
	for _, key := range suspects {
		suspected[key] = histories[key]
	}
	wrong, unknown := check(suspected)
	wrong = append(wrong, unknown...)
	for _, key := range suspects {
		if !slices.Contains(wrong, key) {
			late = append(late, key)
		}
	}
	return wrong, late
}

type counts struct{ acknowledged, read, raised, killed, repeated, gaveUp, torn int }

// sorted gives the history of each node. With late, a request that was given up may take effect after its call returned, else not.
func sorted(calls []recorded, late bool) (histories map[string][]porcupine.Operation, n counts) {
	histories = map[string][]porcupine.Operation{}
	most := 1 // requests of a write, as far as its process lived to tell
	for _, c := range calls {
		if c.in.kind != "get" {
			most = max(most, c.requests)
		}
	}
	for client, c := range calls {
		add := func(again bool, ended int64) {
			in := c.in
			in.again = again
			histories[c.key] = append(histories[c.key], porcupine.Operation{ClientId: client, Input: in, Output: c.outcome, Call: c.began, Return: ended})
		}
		isGet := c.in.kind == "get"
		switch {
		case c.outcome == "torn":
			n.torn++
		case c.outcome == "error" || c.outcome == "":
			requests := max(1, c.requests)
			if c.outcome == "" {
				n.killed++
				requests = most
			} else {
				n.raised++
			}
			// Without an end and an answer a get says nothing; a write may take effect whenever it likes.
			for range requests {
				if !isGet {
					add(true, math.MaxInt64)
				}
			}
		case isGet:
			n.read++
			add(false, c.ended)
		default:
			n.acknowledged++
			add(false, c.ended)
			if c.requests > 1 {
				n.repeated++
			}
			until := c.ended
			if c.gaveUp() {
				n.gaveUp++
				if late {
					until = math.MaxInt64
				}
			}
			for range c.requests - 1 {
				add(true, until)
			}
		}
	}
	return histories, n
}

// patience is how long one node may take.
const patience = time.Minute

// check gives the nodes whose answers nothing explains, and those that took too long to look at.
func check(histories map[string][]porcupine.Operation) (wrong, unknown []string) {
	keys := make(chan string)
	var mu sync.Mutex
	var working sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		working.Go(func() {
			for key := range keys {
				result := porcupine.CheckOperationsTimeout(model, histories[key], patience)
				mu.Lock()
				switch result {
				case porcupine.Illegal:
					wrong = append(wrong, key)
				case porcupine.Unknown:
					unknown = append(unknown, key)
				}
				mu.Unlock()
			}
		})
	}
	for key := range histories {
		keys <- key
	}
	close(keys)
	working.Wait()
	slices.Sort(wrong)
	slices.Sort(unknown)
	return wrong, unknown
}
