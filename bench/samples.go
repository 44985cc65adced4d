package bench

import (
	"fmt"
	"os/exec"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
)

// samples are runs of one process: time on the clock, time of the processor, peak of memory.
// All runs are of the same command; peak is the highest of them.
type samples struct {
	wall, cpu []time.Duration
	peak      int64 // bytes
}

// process runs a command and keeps its figures; another exit status than the one wanted is an error.
// Output is held in memory and shown, up to 2000 bytes, only after a failure. An error without a state means that the program
// could not be started.
func (s *samples) process(status int, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	start := time.Now()
	text, err := cmd.CombinedOutput()
	wall := time.Since(start)
	if cmd.ProcessState == nil {
		return err
	}
	if cmd.ProcessState.ExitCode() != status {
		return fmt.Errorf("%s ended with %d:\n%s", cmd, cmd.ProcessState.ExitCode(), text[:min(len(text), 2000)])
	}
	s.wall = append(s.wall, wall)
	s.cpu = append(s.cpu, cmd.ProcessState.UserTime()+cmd.ProcessState.SystemTime())
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		peak := int64(usage.Maxrss)
		if runtime.GOOS != "darwin" {
			peak *= 1024 // kilobytes everywhere else
		}
		s.peak = max(s.peak, peak)
	}
	return nil
}

// report gives the middle run's times, with a word before the unit.
// word is "" for ours and for example "peer-" for another's.
func (s *samples) report(b *testing.B, word string) {
	b.ReportMetric(millis(middle(s.wall)), word+"ms")
	b.ReportMetric(millis(middle(s.cpu)), word+"cpu-ms")
}

// peakMB is in megabytes of 10^6 bytes, 0 where the system does not tell it.
func (s *samples) peakMB() float64 { return float64(s.peak) / 1e6 }

// middle gives the median, which a busy machine moves less than the mean.
// Of an even number it is the upper one of the two in the middle; 0 for none.
func middle(list []time.Duration) time.Duration {
	if len(list) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(list))
	return sorted[len(sorted)/2]
}

// millis keeps fractions: Milliseconds of a duration would cut them off.
func millis(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
