// The jobs of __main__.py in Go, with its default settings. `go_jobs JOB ...` prints one line of JSON.
package main

import (
	"fmt"
	"os"
	"runtime"
	"runtime/metrics"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	collections = 5
	trees       = 1000
	keptOf      = 10
	idle        = 10 * time.Second
	garbage     = 32
)

type record struct {
	value int64
	a, b  *record
}

var seed uint64 = 88172645463325252

func nextRandom() uint64 {
	seed ^= seed << 13
	seed ^= seed >> 7
	seed ^= seed << 17
	return seed
}

func cpu() time.Duration {
	var usage syscall.Rusage
	syscall.Getrusage(syscall.RUSAGE_SELF, &usage)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

func rssKib() int {
	text, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(text), "\n") {
		if strings.HasPrefix(line, "VmRSS:") {
			kib, _ := strconv.Atoi(strings.Fields(line)[1])
			return kib
		}
	}
	return 0
}

func collected() uint32 {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return stats.NumGC
}

func makeRecords(count int) []*record {
	all := make([]*record, count)
	for i := range all {
		all[i] = &record{value: int64(i)}
	}
	return all
}

func linkTree(all []*record) {
	for i := 0; 2*i+2 < len(all); i++ {
		all[i].a, all[i].b = all[2*i+1], all[2*i+2]
	}
}

func linkRandom(all []*record) {
	for _, r := range all {
		r.a = all[nextRandom()%uint64(len(all))]
		r.b = all[nextRandom()%uint64(len(all))]
	}
}

func linkList(all []*record) {
	for i := 0; i+1 < len(all); i++ {
		all[i].a = all[i+1]
	}
}

func linkShuffled(all []*record) {
	order := make([]uint32, len(all))
	for i := range order {
		order[i] = uint32(i)
	}
	for i := len(order) - 1; i > 0; i-- {
		other := 1 + nextRandom()%uint64(i)
		order[i], order[other] = order[other], order[i]
	}
	for i := 0; i+1 < len(order); i++ {
		all[order[i]].a = all[order[i+1]]
	}
}

func linked(shape string, count int) *record {
	all := makeRecords(count)
	map[string]func([]*record){
		"tree": linkTree, "random": linkRandom, "list": linkList, "shuffled": linkShuffled,
	}[shape](all)
	return all[0]
}

func mark(shape string, count int) {
	top := linked(shape, count)
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	used, began := cpu(), time.Now()
	for i := 0; i < collections; i++ {
		runtime.GC()
	}
	fmt.Printf("{\"records\": %d, \"cpu_s\": %.6f, \"wall_s\": %.6f}\n", stats.HeapObjects,
		(cpu()-used).Seconds()/collections, time.Since(began).Seconds()/collections)
	runtime.KeepAlive(top)
}

// The upper end of the bucket in which a share of all pauses has ended, in microseconds.
func pauseQuantile(pauses *metrics.Float64Histogram, share float64) float64 {
	var total, passed uint64
	for _, count := range pauses.Counts {
		total += count
	}
	for i, count := range pauses.Counts {
		if passed += count; count != 0 && float64(passed) >= share*float64(total) {
			return pauses.Buckets[i+1] * 1e6
		}
	}
	return 0
}

var last *record // which makes it escape

func pauses(count int, seconds float64) {
	all := makeRecords(count)
	linkTree(all)
	steps, longest := 0, time.Duration(0)
	began := time.Now()
	for before := time.Duration(0); before.Seconds() < seconds; steps++ {
		i := nextRandom() % uint64(count)
		for i := 0; i < garbage; i++ {
			last = &record{}
		}
		fresh := &record{a: all[i].a, b: all[i].b}
		all[(i-1)/2%uint64(count)].a = fresh
		all[i] = fresh
		now := time.Since(began)
		if now-before > longest {
			longest = now - before
		}
		before = now
	}
	took := time.Since(began)
	sample := []metrics.Sample{{Name: "/gc/pauses:seconds"}}
	metrics.Read(sample)
	histogram := sample[0].Value.Float64Histogram()
	fmt.Printf("{\"collections\": %d, \"p50_us\": %.3f, \"p99_us\": %.3f, \"max_us\": %.3f, "+
		"\"longest_step_us\": %.3f, \"step_ns\": %.3f}\n", collected(), pauseQuantile(histogram, 0.5),
		pauseQuantile(histogram, 0.99), pauseQuantile(histogram, 1),
		float64(longest.Nanoseconds())/1e3, float64(took.Nanoseconds())/float64(steps))
	runtime.KeepAlive(all)
}

func allocate(count int) {
	used, began := cpu(), time.Now()
	for i := 0; i < count; i++ {
		last = &record{}
	}
	fmt.Printf("{\"ns\": %.4f, \"cpu_ns\": %.4f, \"collections\": %d}\n",
		float64(time.Since(began).Nanoseconds())/float64(count),
		float64((cpu()-used).Nanoseconds())/float64(count), collected())
}

func drop(count int) {
	before := rssKib()
	tops := make([]*record, trees)
	for i := range tops {
		tops[i] = linked("tree", count/trees)
	}
	full := rssKib()
	for i := range tops {
		if i%keptOf != 0 {
			tops[i] = nil
		}
	}
	runtime.GC()
	time.Sleep(idle)
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	fmt.Printf("{\"full_kib\": %d, \"rss_kib\": %d, \"live_kib\": %d, \"spans_kib\": %d}\n",
		full-before, rssKib()-before, count/keptOf*24/1024, stats.HeapInuse/1024)
	runtime.KeepAlive(tops)
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		fmt.Fprintln(os.Stderr, "go_jobs:", err)
		os.Exit(2)
	}
	return value
}

func main() {
	words := append(os.Args[1:], "", "", "")
	switch words[0] {
	case "mark":
		mark(words[1], number(words[2]))
	case "pauses":
		pauses(number(words[1]), float64(number(words[2])))
	case "allocate":
		allocate(number(words[1]))
	case "drop":
		drop(number(words[1]))
	default:
		fmt.Fprintln(os.Stderr, "go_jobs: mark SHAPE N, pauses N SECONDS, allocate N or drop N")
		os.Exit(2)
	}
}
