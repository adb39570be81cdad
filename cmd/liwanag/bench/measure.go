package main

import (
	"os"
	"runtime/pprof"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// loop makes n calls of one from conc clients, each its next when the one before
// has returned.
func loop(n, conc int, one func() error) (took time.Duration, err error) {
	var left atomic.Int64
	left.Store(int64(n))
	var wg sync.WaitGroup
	var failure atomic.Pointer[error]
	begun := time.Now()
	for range conc {
		wg.Go(func() {
			for left.Add(-1) >= 0 && failure.Load() == nil {
				if err := one(); err != nil {
					failure.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	wg.Wait()
	if err := failure.Load(); err != nil {
		return 0, *err
	}
	return time.Since(begun), nil
}

// rate is what a loop came to.
type rate struct {
	perSecond   float64
	cpu, server float64 // microseconds of processor time a call, in this process and in the database server
}

func (s settings) rateOf(n, conc int, one func() error) (rate, error) {
	cpu, server := cpuTime(), s.cluster.cpu()
	took, err := loop(n, conc, one)
	per := func(d time.Duration) float64 { return float64(d.Microseconds()) / float64(n) }
	return rate{float64(n) / took.Seconds(), per(cpuTime() - cpu), per(s.cluster.cpu() - server)}, err
}

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func quantile(all []time.Duration, q float64) time.Duration {
	slices.Sort(all)
	return all[int(float64(len(all)-1)*q)].Round(10 * time.Microsecond)
}

// profile writes a processor profile until the function it returns is called.
func (s settings) profile() (stop func(), err error) {
	if s.prof == "" {
		return func() {}, nil
	}
	f, err := os.Create(s.prof)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, nil
}
