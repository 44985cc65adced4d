package figures

import (
	"bytes"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// ticks is how many clock ticks of /proc make a second: 100 on every Linux, whatever the kernel's own clock does.
const ticks = 100

// system adds what /proc/self tells (proc(5)). Where /proc is not mounted the figures are left out.
func (s *Set) system() {
	cpu := s.Counter("process_cpu_seconds_total", "Seconds of CPU that the process has used.")
	resident := s.Gauge("process_resident_memory_bytes", "Bytes of the process that are in memory.")
	virtual := s.Gauge("process_virtual_memory_bytes", "Bytes of the process's address space.")
	started := s.Gauge("process_start_time_seconds", "When the process began, in seconds since 1970.")
	files := s.Gauge("process_open_fds", "Files and connections that are open.")
	limit := s.Gauge("process_max_fds", "Files and connections that may be open.")
	booted := bootTime()
	s.Before(func() {
		if f := statFields(); len(f) > 21 {
			cpu.Set((f[11] + f[12]) / ticks) // utime, stime
			virtual.Set(f[20])
			resident.Set(f[21] * float64(os.Getpagesize()))
			if booted > 0 {
				started.Set(booted + f[19]/ticks)
			}
		}
		if dir, err := os.Open("/proc/self/fd"); err == nil {
			if names, err := dir.Readdirnames(-1); err == nil {
				files.Set(float64(len(names) - 1)) // without the folder itself
			}
			dir.Close()
		}
		var max syscall.Rlimit
		if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &max) == nil {
			limit.Set(float64(max.Cur))
		}
	})
}

// statFields are the numbers of /proc/self/stat from the third field on; the second, the program's name, may hold spaces and brackets. The
// third is a letter and reads as 0.
func statFields() []float64 {
	text, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		return nil
	}
	var out []float64
	for field := range bytes.FieldsSeq(text[bytes.LastIndexByte(text, ')')+1:]) {
		v, _ := strconv.ParseFloat(string(field), 64)
		out = append(out, v)
	}
	return out
}

// bootTime is when the machine began, in seconds since 1970; 0 if it is not to be had.
func bootTime() float64 {
	text, _ := os.ReadFile("/proc/stat")
	_, rest, found := strings.Cut(string(text), "\nbtime ")
	line, _, _ := strings.Cut(rest, "\n")
	v, err := strconv.ParseFloat(line, 64)
	if !found || err != nil {
		return 0
	}
	return v
}
