package main

import (
	"os"
	"runtime"
)

// A thread of the caller that comes into Go needs one of GOMAXPROCS slots, keeps it when it leaves, and loses it only to
// one that comes back for its own or to a look-out that comes by at times. With as many slots as cores, threads wait for the look-out
// while cores idle: measured on two cores with 8 threads, eight slots a core let through 1.8 times the gets.
const (
	procsPerCore = 8
	mostProcs    = 32
)

func init() {
	if os.Getenv("GOMAXPROCS") != "" {
		return
	}
	cores := runtime.GOMAXPROCS(0)
	runtime.GOMAXPROCS(max(cores, min(procsPerCore*cores, mostProcs)))
}
