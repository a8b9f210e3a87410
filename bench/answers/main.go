// Command answers is the service of the benchmarks: it gives the answers that tablestore-local gave to the same
// requests before, so that it takes as little of the machine as a service elsewhere would, and the same for each contestant.
//
// The first request of its kind is passed on to tablestore-local, and the answer is kept. Later ones get that answer: its signature is
// right for all of them. Reads are told apart by their operation and ids, writes by their operation and the number of rows.
//
// It prints one line with its address.
package main

import (
	"flag"
	"fmt"
	"log"
	"runtime"
	"time"
)

func main() {
	behind := flag.String("service", "", "address of the tablestore-local to learn answers from, `http://127.0.0.1:PORT`")
	latency := flag.Duration("latency", 0, "how long each answer is held back")
	flag.Parse()
	// One thread does all: it is never waited for long, and wakes no others.
	runtime.GOMAXPROCS(1)
	runtime.LockOSThread()
	s, address, err := listen(&memory{service: *behind, known: map[string]answer{}, now: time.Now}, *latency)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("answers: serving at http://%s\n", address)
	log.Fatal(s.serve())
}
